import asyncio
from contextlib import asynccontextmanager


class Connection:
    def __init__(self, number):
        self.number = number

    async def query(self, worker):
        await asyncio.sleep(0.02)
        if worker == 3:
            raise RuntimeError("worker 3 asked nonsense")
        return worker * worker


class Pool:
    def __init__(self, size):
        self.free = asyncio.Queue()
        for i in range(1, size + 1):
            self.free.put_nowait(Connection(i))

    @asynccontextmanager
    async def lease(self):
        """Takes a connection, and gives it back."""
        connection = await self.free.get()
        try:
            yield connection
        finally:
            await self.free.put(connection)


async def work(pool, worker):
    async with pool.lease() as connection:
        print(f"worker {worker} has connection {connection.number}")
        return await connection.query(worker)


async def office():
    pool = Pool(2)
    workers = (work(pool, worker) for worker in range(1, 6))
    for result in await asyncio.gather(*workers, return_exceptions=True):
        print(result)
    print(f"{pool.free.qsize()} connections are back")


asyncio.run(office())
