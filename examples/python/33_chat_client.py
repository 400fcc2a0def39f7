import asyncio
import sys


async def listen(network):
    async for line in network:
        print(line.decode(), end="", flush=True)


async def talk(keyboard, writer):
    async for line in keyboard:
        writer.write(line)
        await writer.drain()
    writer.write(b"/quit\n")  # the end of input
    await writer.drain()


async def chat(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    keyboard = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(keyboard), sys.stdin
    )
    talking = asyncio.create_task(talk(keyboard, writer))
    await listen(reader)  # until the server has said goodbye
    talking.cancel()
    try:
        await talking
    except asyncio.CancelledError:
        pass
    writer.close()
    await writer.wait_closed()


host = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
port = int(sys.argv[2]) if len(sys.argv) > 2 else 8888
try:
    asyncio.run(chat(host, port))
except KeyboardInterrupt:
    sys.exit(130)
