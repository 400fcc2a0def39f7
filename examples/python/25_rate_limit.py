import asyncio


def now():
    return asyncio.get_running_loop().time()


class RateLimiter:
    """Like a bucket that gets a token every `interval` and has room for `burst` of them."""

    def __init__(self, burst, interval):
        self.burst = burst
        self.interval = interval
        self.next = now() - burst * interval  # when the next token is due

    async def wait(self):
        self.next = max(self.next + self.interval, now() - (self.burst - 1) * self.interval)
        await asyncio.sleep(self.next - now())  # not at all, if that is past


async def crawl():
    limiter = RateLimiter(3, 0.02)
    start = now()

    async def request(page):
        await limiter.wait()
        print(f"page {page} after {now() - start:.2f} s")

    await asyncio.gather(*map(request, range(1, 6)))
    if now() - start >= 0.04:
        print("5 pages, not faster than allowed")


asyncio.run(crawl())
