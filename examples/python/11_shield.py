import asyncio


async def pay(amount):
    await asyncio.sleep(0.1)
    return amount


async def shop():
    first = asyncio.create_task(pay(50))
    try:
        await asyncio.wait_for(first, 0.02)
    except asyncio.TimeoutError:
        print(f"too slow, cancelled: {str(first.cancelled()).lower()}")
    second = asyncio.create_task(pay(100))
    try:
        await asyncio.wait_for(asyncio.shield(second), 0.02)
    except asyncio.TimeoutError:
        print("too slow, the payment goes on")
    paid = await second
    print(f"paid {paid}")
    try:
        async with asyncio.timeout(0.05):
            await pay(1)
            await pay(2)
    except asyncio.TimeoutError:
        print("the block took too long")


asyncio.run(shop())
