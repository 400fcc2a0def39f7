import asyncio


async def chef(dish, time):
    print(f"starting {dish}")
    await asyncio.sleep(time)
    return f"{dish} done"


async def boil_soup(_):
    await asyncio.sleep(0.1)
    return "soup"


async def dinner():
    pasta, salad, pizza = await asyncio.gather(
        chef("pasta", 0.3), chef("salad", 0.2), chef("pizza", 0.5)
    )
    print(f"{pasta}, {salad}, {pizza}")
    pots = range(10)
    soups = await asyncio.gather(*map(boil_soup, pots))
    print(f"{len(soups)} soups")


asyncio.run(dinner())
