import asyncio
import struct
from asyncio.subprocess import PIPE


def send(writer, message):
    writer.write(struct.pack("=I", len(message)))
    writer.write(message)


async def receive(reader):
    head = await reader.readexactly(4)
    (size,) = struct.unpack("=I", head)
    message = await reader.readexactly(size)
    return message


async def converse():
    cat = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
    for text in (b"hello", b"", b"two\nlines", b"x" * 100_000):
        send(cat.stdin, text)
        await cat.stdin.drain()
        answer = (await receive(cat.stdout)).decode().replace("\n", "|")
        is_short = 0 < len(answer) < 10
        print(answer if is_short else f"{len(answer)} bytes")
    cat.stdin.write(b"half")
    cat.stdin.close()
    try:
        await receive(cat.stdout)
        await receive(cat.stdout)
    except asyncio.IncompleteReadError:
        print("the program ended in the middle of a message")
    await cat.wait()


asyncio.run(converse())
