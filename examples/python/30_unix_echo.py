import asyncio
import os
import socket
import struct
import sys


async def echo(reader, writer):
    sock = writer.get_extra_info("socket")
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    print(f"hello, process {pid} of user {uid}", flush=True)
    async for line in reader:
        writer.write(line)
        await writer.drain()
    writer.close()


async def serve(path):
    os.umask(0o177)
    server = await asyncio.start_unix_server(echo, path)
    print(f"listening on {path}", flush=True)
    try:
        await server.serve_forever()
    finally:
        os.unlink(path)


try:
    asyncio.run(serve(sys.argv[1] if len(sys.argv) > 1 else "echo.sock"))
except KeyboardInterrupt:
    sys.exit(130)
