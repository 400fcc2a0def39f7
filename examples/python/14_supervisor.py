import asyncio


async def reader():
    await asyncio.sleep(10)


async def writer():
    await asyncio.sleep(0.05)
    raise RuntimeError("disk is full")


async def keep_alive(name, worker):
    while True:
        print(f"{name} starts")
        try:
            await worker()
        except Exception as error:  # a cancellation is none, and passes
            print(f"{name} crashed: {error}")
        await asyncio.sleep(0.01)


async def supervise(stop):
    workers = [
        asyncio.create_task(keep_alive("reader", reader)),
        asyncio.create_task(keep_alive("writer", writer)),
    ]
    await stop.wait()
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers)
    print("all workers have stopped")


async def program():
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.8, stop.set)
    await supervise(stop)


asyncio.run(program())
