import asyncio


async def runner(name, gun):
    print(f"{name} is ready")
    await gun.wait()
    print(f"{name} runs")


async def starter(gun):
    await asyncio.sleep(0.02)
    print("bang")
    gun.set()


async def race():
    gun = asyncio.Event()
    shoot = asyncio.create_task(starter(gun))
    await asyncio.gather(runner("Ada", gun), runner("Bob", gun), runner("Eve", gun))


asyncio.run(race())
