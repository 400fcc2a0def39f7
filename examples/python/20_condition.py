import asyncio
from collections import deque


class Shelf:
    ROOM = 2

    def __init__(self):
        self.loaves = deque()
        self.changed = asyncio.Condition()

    async def put(self, loaf):
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.loaves) < self.ROOM)
            self.loaves.append(loaf)
            print(f"put {loaf}")
            self.changed.notify_all()

    async def take(self):
        async with self.changed:
            await self.changed.wait_for(lambda: self.loaves)
            print(f"took {self.loaves.popleft()}")
            self.changed.notify_all()


async def baker(shelf):
    for loaf in range(1, 4):
        await shelf.put(loaf)


async def customer(shelf):
    for _ in range(3):
        await shelf.take()


async def bakery():
    shelf = Shelf()
    await asyncio.gather(baker(shelf), customer(shelf))


asyncio.run(bakery())
