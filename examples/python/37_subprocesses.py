import asyncio
from asyncio.subprocess import PIPE


async def shout(number):
    tr = await asyncio.create_subprocess_exec("tr", "a-z", "A-Z", stdin=PIPE, stdout=PIPE)
    out, _ = await tr.communicate(f"program {number}".encode())
    return out.decode()


async def give_up_on_a_slow_one():
    slow = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        await asyncio.wait_for(slow.wait(), 0.05)
    except asyncio.TimeoutError:
        slow.terminate()  # a timeout leaves the program running
    code = await slow.wait()
    print(f"the slow one ended with {code}")


async def run_programs():
    answers = await asyncio.gather(*map(shout, range(1, 6)))
    for answer in answers:
        print(answer)
    try:
        await asyncio.create_subprocess_exec("no-such-program")
    except OSError as error:
        print(f"run {error.filename}: {error.strerror}")
    await give_up_on_a_slow_one()


asyncio.run(run_programs())
