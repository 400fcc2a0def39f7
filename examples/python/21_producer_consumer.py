import asyncio


async def baker(shelf):
    for loaf in range(1, 7):
        await shelf.put(loaf)  # waits while the shelf is full
        print(f"baked loaf {loaf}")
    for _ in range(2):
        await shelf.put(None)  # Queue.shutdown() came with Python 3.13


async def customer(shelf):
    bought = 0
    while (loaf := await shelf.get()) is not None:
        bought += 1
        await asyncio.sleep(0.01)
    return bought


async def bakery():
    shelf = asyncio.Queue(2)
    _, ann, bob = await asyncio.gather(baker(shelf), customer(shelf), customer(shelf))
    print(f"Ann has {ann}, Bob has {bob}")


asyncio.run(bakery())
