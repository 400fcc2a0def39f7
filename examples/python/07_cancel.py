import asyncio


async def count_down(start):
    try:
        for n in range(start, 0, -1):
            print(n)
            await asyncio.sleep(0.1)
        print("lift-off")
    finally:
        await secure_the_rocket()


async def secure_the_rocket():
    await asyncio.sleep(0.05)
    print("the rocket is secured")


async def mission():
    launch = asyncio.create_task(count_down(10))
    await asyncio.sleep(0.25)
    launch.cancel("there is a bird on it")
    try:
        await launch
    except asyncio.CancelledError as cancelled:
        print(f"cancelled: {cancelled}")


asyncio.run(mission())
