import asyncio


async def request(time):
    await asyncio.sleep(time)


async def one_after_another():
    await request(0.1)
    await request(0.2)
    await request(0.3)


async def all_at_once():
    await asyncio.gather(request(0.1), request(0.2), request(0.3))


async def measure(what, work):
    start = asyncio.get_running_loop().time()
    await work
    took = asyncio.get_running_loop().time() - start
    print(f"{what}: {took:.1f} s")


async def compare():
    await measure("one after another", one_after_another())
    await measure("all at once", all_at_once())


asyncio.run(compare())
