import asyncio


async def oracle(answer):
    await asyncio.sleep(0.05)
    answer.set_result(42)


async def listener(name, answer):
    heard = await answer
    print(f"{name} heard {heard}")


async def temple():
    answer = asyncio.get_running_loop().create_future()
    print("waiting for the oracle")
    await asyncio.gather(oracle(answer), listener("Ada", answer), listener("Bob", answer))

    next_answer = asyncio.get_running_loop().create_future()
    next_answer.set_exception(RuntimeError("no more questions"))
    try:
        await next_answer
    except RuntimeError as error:
        print(f"the next oracle: {error}")


asyncio.run(temple())
