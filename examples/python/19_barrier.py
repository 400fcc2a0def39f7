import asyncio


async def player(pace, barrier):
    for turn in range(1, 3):
        await asyncio.sleep(pace)
        place = await barrier.wait()
        if place == 0:
            print(f"round {turn} is over")  # one of us says so


async def game():
    barrier = asyncio.Barrier(3)
    await asyncio.gather(player(0.005, barrier), player(0.03, barrier), player(0.06, barrier))
    print("everybody did 2 rounds")


asyncio.run(game())
