#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our examples against other people's programs: nc, curl, socat (those that are there) and Python's
asyncio, as clients and as servers, over TCP, unix sockets and UDP. On both backends."""
import asyncio
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

BUILD = os.environ.get("ASYNCIO_BUILD_DIR", "build/dev")
DEADLINE = 20  # seconds
LINES = [b"hello\n", b"x" * 50000 + b"\n", "höflich\n".encode()]


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


class Ours:
    """A server among the examples, told where to listen."""

    def __init__(self, environment, name, *arguments):
        self.process = subprocess.Popen([f"{BUILD}/example_{name}", *map(str, arguments)],
                                        stdout=subprocess.PIPE, text=True, env=environment)

    def __enter__(self):
        first = self.process.stdout.readline()
        found = re.search(r":(\d+)$", first)
        return int(found[1]) if found else None

    def __exit__(self, kind, error, trace):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
        if error is None:
            check(self.process.returncode == 130, "our server ended with", self.process.returncode)


def program(command, text):
    """What a program prints that is given `text` and then the end of its input."""
    return subprocess.run(command, input=text, capture_output=True, timeout=DEADLINE).stdout


def others_as_clients(environment):
    text = b"".join(LINES)
    with Ours(environment, "29_echo_server", 0) as port:
        if shutil.which("nc"):
            check(program(["nc", "-q", "5", "127.0.0.1", str(port)], text) == text, "nc over TCP")
        if shutil.which("curl"):  # it ends with its input, answers or not, so it is given only a line
            command = f"(echo hello; sleep 1) | curl -s -m 10 telnet://127.0.0.1:{port}"
            check(program(["sh", "-c", command], b"") == b"hello\n", "curl")
        if shutil.which("socat"):
            check(program(["socat", "-t10", "-", f"TCP:127.0.0.1:{port}"], text) == text, "socat over TCP")
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/echo"
        with Ours(environment, "30_unix_echo", path):
            if shutil.which("nc"):
                check(program(["nc", "-q", "5", "-U", path], text) == text, "nc over unix")
            if shutil.which("socat"):
                check(program(["socat", "-t10", "-", f"UNIX:{path}"], text) == text, "socat over unix")
    with Ours(environment, "31_udp_echo", 0) as port:
        if shutil.which("nc"):
            check(program(["nc", "-u", "-w", "1", "127.0.0.1", str(port)], b"hello") == b"hello", "nc over UDP")


async def talk(reader, writer):
    for line in LINES:
        writer.write(line)
        await writer.drain()
        check(await reader.readline() == line, "Python's streams")
    writer.write_eof()
    check(await reader.read() == b"", "Python's streams: the end")
    writer.close()
    await writer.wait_closed()


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.Queue()

    def datagram_received(self, data, address):
        self.received.put_nowait(data)


async def python_as_client(environment, directory):
    with Ours(environment, "29_echo_server", 0) as port:
        streams = [await asyncio.open_connection("127.0.0.1", port, limit=1 << 20) for _ in range(20)]
        await asyncio.gather(*(talk(*pair) for pair in streams))
    path = f"{directory}/echo"
    with Ours(environment, "30_unix_echo", path):
        await talk(*await asyncio.open_unix_connection(path, limit=1 << 20))
    with Ours(environment, "31_udp_echo", 0) as port:
        transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
            Datagrams, remote_addr=("127.0.0.1", port))
        for data in (b"", b"hello", b"x" * 60000):
            transport.sendto(data)
            if data:  # older Pythons do not send empty ones
                while (got := await protocol.received.get()) == b"":
                    pass
                check(got == data, "Python's datagrams")
        transport.close()


async def python_as_server(environment, directory):
    data = os.urandom(2_000_000)
    with open(f"{directory}/file", "wb") as file:
        file.write(data)

    async def receive(reader, writer):
        name, size = await reader.readline(), int(await reader.readline())
        got = await reader.readexactly(size)
        writer.write(name.strip() + b" " + hashlib.sha256(got).hexdigest().encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sender = await asyncio.create_subprocess_exec(
        f"{BUILD}/example_34_file_transfer", "send", f"{directory}/file", str(port),
        stdout=asyncio.subprocess.PIPE, env=environment)
    printed, _ = await sender.communicate()
    check(printed.decode() == f"file {hashlib.sha256(data).hexdigest()}\n", "our sender printed", printed)
    server.close()
    await server.wait_closed()


def main():
    chosen = os.environ.get("ASYNCIO_BACKEND")
    for backend in [chosen] if chosen else ["io_uring", "epoll"]:
        environment = {**os.environ, "ASYNCIO_BACKEND": backend}
        others_as_clients(environment)
        print(f"{backend} nc, curl, socat: ok", flush=True)
        for test in (python_as_client, python_as_server):
            with tempfile.TemporaryDirectory() as directory:
                asyncio.run(asyncio.wait_for(test(environment, directory), 3 * DEADLINE))
            print(f"{backend} {test.__name__}: ok", flush=True)


if __name__ == "__main__":
    main()
