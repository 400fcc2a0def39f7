import asyncio


def count_primes(below):
    primes = 0
    for n in range(2, below):
        d = 2
        while d * d <= n and n % d != 0:
            d += 1
        primes += d * d > n
    return primes


async def heartbeat(beats):
    while True:
        await asyncio.sleep(0.001)
        beats.append(1)


async def program():
    beats = []
    heart = asyncio.create_task(heartbeat(beats))
    limits = [100_000, 200_000, 300_000]
    jobs = (asyncio.to_thread(count_primes, below) for below in limits)
    primes = await asyncio.gather(*jobs)  # threads; for all cores a ProcessPoolExecutor
    for below, count in zip(limits, primes):
        print(f"primes below {below}: {count}")
    heart.cancel()
    print("the heart did not stop" if beats else "the heart stood still")


asyncio.run(program())
