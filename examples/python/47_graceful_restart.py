import asyncio
import os
import signal
import socket
import subprocess
import sys


async def echo(reader, writer):
    async for line in reader:
        writer.write(f"{os.getpid()}: ".encode() + line)
        await writer.drain()
    writer.close()


def start_successor(listener):
    command = [sys.executable, __file__, "--listener", str(listener)]
    return subprocess.Popen(command, pass_fds=[listener])


async def listen(port, listener):
    if listener >= 0:
        return await asyncio.start_server(echo, sock=socket.socket(fileno=listener))
    return await asyncio.start_server(echo, "127.0.0.1", port)


async def serve(port, listener):
    hangup = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hangup.set)
    server = await listen(port, listener)
    host, port = server.sockets[0].getsockname()
    print(f"{os.getpid()} is listening on {host}:{port}", flush=True)
    while True:
        await hangup.wait()
        hangup.clear()
        try:
            start_successor(server.sockets[0].fileno())
            break
        except OSError as error:
            print(f"{error}; going on", file=sys.stderr)
    server.close()
    await server.wait_closed()
    print(f"{os.getpid()} has no more connections", flush=True)


inherits = len(sys.argv) == 3 and sys.argv[1] == "--listener"
try:
    port = int(sys.argv[1]) if len(sys.argv) == 2 else 8888
    asyncio.run(serve(port, int(sys.argv[2]) if inherits else -1))
except KeyboardInterrupt:
    sys.exit(130)
