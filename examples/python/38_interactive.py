import asyncio
import sys
from asyncio.subprocess import PIPE

PATIENCE = 5
SCRIPT = r"s/\bI am\b/you are/g; s/\bI\b/you/g; s/\bmy\b/your/g; s/^/Why do you say /; s/\.*$/?/"


async def ask(listener, line):
    if not line.endswith("\n"):
        line += "\n"
    listener.stdin.write(line.encode())
    answer = await asyncio.wait_for(listener.stdout.readline(), PATIENCE)
    return answer.decode()


async def talk(listener, lines):
    """`lines`: any async iterator."""
    print("Tell me about yourself.", flush=True)
    async for line in lines:
        answer = await ask(listener, line)
        if not answer:
            break
        print(answer, end="", flush=True)
    print("Goodbye.")


async def somebody():
    yield "I like my cat"
    yield "I am tired."


async def you():
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield line


async def listen(to_you):
    listener = await asyncio.create_subprocess_exec(
        "sed", "--unbuffered", SCRIPT, stdin=PIPE, stdout=PIPE
    )
    if to_you:
        await talk(listener, you())
    else:
        await talk(listener, somebody())
    listener.stdin.close()  # that is its end, too
    code = await asyncio.wait_for(listener.wait(), PATIENCE)
    if code != 0:
        print(f"sed ended with {code}", file=sys.stderr)


asyncio.run(listen(len(sys.argv) > 1))
