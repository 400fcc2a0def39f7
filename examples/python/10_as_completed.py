import asyncio


async def cook(dish, time):
    await asyncio.sleep(time)
    if dish == "toast":
        raise RuntimeError(f"burnt: {dish}")
    return dish


async def kitchen():
    dishes = [
        cook("roast", 0.2),
        cook("soup", 0.08),
        cook("toast", 0.14),
        cook("tea", 0.02),
    ]
    for next_dish in asyncio.as_completed(dishes):
        try:
            dish = await next_dish
            print(f"{dish} is ready")
        except RuntimeError as error:
            print(error)


asyncio.run(kitchen())
