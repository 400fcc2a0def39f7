import asyncio
import os
import sys

CHUNK = 64 << 10  # bytes


async def receive(directory, reader, writer):
    name = (await reader.readline()).decode()
    size = int(await reader.readline())
    name = os.path.basename(name[:-1])  # no way out of here
    file = await asyncio.to_thread(open, f"{directory}/{name}", "wb")
    try:
        left = size
        while left > 0:
            chunk = await reader.read(min(left, CHUNK))
            if not chunk:
                raise EOFError(f"{name} ended too early")
            await asyncio.to_thread(file.write, chunk)
            left -= len(chunk)
    finally:
        await asyncio.to_thread(file.close)
    writer.write(f"received {name}\n".encode())
    await writer.drain()
    writer.close()


async def serve(directory, port):
    async def handler(reader, writer):
        await receive(directory, reader, writer)

    server = await asyncio.start_server(handler, "127.0.0.1", port)
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    async with server:
        await server.serve_forever()


async def send(path, port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    size = os.path.getsize(path)
    writer.write(f"{os.path.basename(path)}\n{size}\n".encode())
    with open(path, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            writer.write(chunk)
            await writer.drain()  # as fast as the other side takes it
    answer = await reader.readline()
    print(answer.decode(), end="")
    writer.close()
    await writer.wait_closed()


async def program(arguments):
    if len(arguments) < 2:
        sys.exit("usage: receive DIRECTORY [PORT] | send FILE [PORT]")
    port = int(arguments[2]) if len(arguments) > 2 else 9997
    if arguments[0] == "receive":
        await serve(arguments[1], port)
    else:
        await send(arguments[1], port)


try:
    asyncio.run(program(sys.argv[1:]))
except KeyboardInterrupt:
    sys.exit(130)
