import asyncio


async def probe(name, time, broken=False):
    try:
        await asyncio.sleep(time)
    except asyncio.CancelledError:
        print(f"{name}: stopped")
        raise
    if broken:
        raise RuntimeError(f"{name} is on fire")
    print(f"{name}: fine")


async def launch():
    try:
        async with asyncio.TaskGroup() as tg:
            tg.create_task(probe("fuel", 0.02))
            tg.create_task(probe("engine", 0.05, broken=True))
            tg.create_task(probe("weather", 10))
            print("three probes are out")
    except ExceptionGroup as eg:
        for error in eg.exceptions:
            print(f"no launch: std::runtime_error: {error}")


asyncio.run(launch())
