import asyncio


async def mirror(name, distance):
    await asyncio.sleep(distance)
    return name


async def ask():
    mirrors = [
        asyncio.create_task(mirror("far", 10)),
        asyncio.create_task(mirror("near", 0.02)),
        asyncio.create_task(mirror("away", 5)),
    ]
    done, pending = await asyncio.wait(mirrors, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        print(f"{task.result()} answers first")
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)
    print(f"{len(pending)} are stopped")


asyncio.run(ask())
