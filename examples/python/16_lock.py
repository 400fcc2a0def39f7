import asyncio


class Counter:
    def __init__(self):
        self.value = 0
        self.lock = asyncio.Lock()

    async def increment(self):
        read = self.value
        await asyncio.sleep(0.001)  # others run here
        self.value = read + 1

    async def increment_safely(self):
        async with self.lock:
            await self.increment()


async def count():
    careless = Counter()
    await asyncio.gather(*(careless.increment() for _ in range(10)))
    print(f"without a lock: {careless.value}")
    careful = Counter()
    await asyncio.gather(*(careful.increment_safely() for _ in range(10)))
    print(f"with a lock: {careful.value}")


asyncio.run(count())
