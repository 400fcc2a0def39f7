import asyncio
import sys


async def echo(reader, writer):
    async for line in reader:
        writer.write(line)
        await writer.drain()  # waits for a client that reads more slowly than it writes
    writer.close()


async def serve(port):
    server = await asyncio.start_server(echo, "127.0.0.1", port)
    host, port = server.sockets[0].getsockname()
    print(f"listening on {host}:{port}", flush=True)
    async with server:
        await server.serve_forever()


try:
    asyncio.run(serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
except KeyboardInterrupt:
    sys.exit(130)
