#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples do what they say, on both backends; and so do their Python originals.

An example that ends by itself says in the comment at its head, after `// prints:`, what it prints
(`...` stands for anything within a line, or on a line of its own for any lines). A server or a tool has a driver here, a function with its name.
Both are held against the C++ program and against examples/python/.

usage: examples_test.py [NAME...]      only those whose name contains one of these
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

BUILD = os.environ.get("ASYNCIO_BUILD_DIR", "build/dev")
ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 60  # seconds
INTERRUPTED = 130  # the exit status after Ctrl-C

sys.path.insert(0, str(ROOT / "tools"))
from examples_table import Example, examples, table_faults  # noqa: E402


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


class Program:
    """How to start an example: compiled, on one backend; or its Python original."""

    def __init__(self, example: Example, backend: str) -> None:
        self.example, self.backend = example, backend
        if backend == "python":
            self.command, self.environment = [sys.executable, str(example.python)], os.environ
        else:
            self.command = [f"{BUILD}/example_{example.name}"]
            self.environment = {**os.environ, "ASYNCIO_BACKEND": backend}

    def run(self, *arguments, text=None):
        return subprocess.run([*self.command, *map(str, arguments)], capture_output=True, text=True, input=text,
                              timeout=DEADLINE, env=self.environment)

    def start(self, *arguments):
        return Running(self, arguments)


class Running:
    """An example that runs until it is interrupted."""

    def __init__(self, program, arguments, status=INTERRUPTED):
        self.status = status
        self.process = subprocess.Popen([*program.command, *map(str, arguments)], text=True, stdout=subprocess.PIPE,
                                        env=program.environment, start_new_session=True)

    def __enter__(self):
        self.first = self.process.stdout.readline()
        return self

    def __exit__(self, kind, error, trace):
        os.killpg(self.process.pid, signal.SIGINT)  # as a terminal does
        try:
            self.rest, _ = self.process.communicate(timeout=DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
        if error is None:
            check(self.process.returncode == self.status, "ended with", self.process.returncode)

    def port(self):
        return int(re.search(r":(\d+)$", self.first)[1])


def talk(client, text):
    client.settimeout(DEADLINE)
    client.sendall(text)
    client.shutdown(socket.SHUT_WR)
    check(client.makefile("rb").read() == text, "echoed wrongly")


# --- those that do not end by themselves, or want arguments --------------------------------------


def echo_server(program):
    with program.start(0) as server:
        for text in (b"hello\n", b"x" * 60000 + b"\n", b"no newline"):
            with socket.create_connection(("127.0.0.1", server.port()), DEADLINE) as client:
                talk(client, text)
    bad = program.run("eight")
    check(bad.returncode == 1 and bad.stderr and not bad.stdout, "a bad argument:", bad)


def unix_echo(program):
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/echo.sock"
        with program.start(path), socket.socket(socket.AF_UNIX) as client:
            check(os.stat(path).st_mode & 0o777 == 0o600, "others may use the socket")
            client.connect(path)
            talk(client, b"hello\n")
        check(not os.path.exists(path), "the socket file is left behind")


def udp_echo(program):
    with program.start(0) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(DEADLINE)
        client.connect(("127.0.0.1", server.port()))
        for text in (b"hello", b"x" * 60000):
            client.send(text)
            check(client.recv(65536) == text, "echoed wrongly")


def tls_echo(program):
    with tempfile.TemporaryDirectory() as here:
        cert, key = f"{here}/cert.pem", f"{here}/key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", key, "-out", cert], check=True, capture_output=True)
        with program.start("serve", cert, key, 0) as server:
            result = program.run("connect", cert, server.port(), "hello")
            check(result.stdout == "TLSv1.3 with localhost\nhello\n", result)
        check(program.run("frob").returncode == 1)


def interactive(program):
    said = "I like my cat\nI am tired."
    with tempfile.TemporaryFile("w+") as file:  # from a pipe, and from a file
        file.write(said)
        file.seek(0)
        for options in ({"input": said}, {"stdin": file}):
            result = subprocess.run([*program.command, "talk"], capture_output=True, text=True, timeout=DEADLINE,
                                    env=program.environment, **options)
            check(result.stdout.splitlines() == program.example.prints, "the conversation was", result)


def directory_watcher(program):
    with tempfile.TemporaryDirectory() as here, Running(program, [here], status=0) as watcher:
        Path(here, "letter").touch()
        check(watcher.process.stdout.readline() == "created    letter\n")
        check(watcher.process.stdout.readline() == "written    letter\n")


def chat_client(program):
    server = Program(Example(ROOT / "examples/chat_server.cpp"), "")
    with Running(server, ["--port", 0], status=0) as running:
        result = program.run("127.0.0.1", running.port(), text="/nick me\n/who\n")
        for line in ("-- welcome", "-- you are me now", "-- here are me", "-- goodbye"):
            check(line in result.stdout, "the chat lacks", line, "in", result)
        check(result.returncode == 0, result)


def file_transfer(program):
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        data = os.urandom(3_000_000)
        Path(here, "data.bin").write_bytes(data)
        with program.start("receive", there, 0) as receiver:
            result = program.run("send", f"{here}/data.bin", receiver.port())
            check(result.stdout == "received data.bin\n", result)
        check(Path(there, "data.bin").read_bytes() == data, "the file arrived changed")


def discovery(program):
    with program.start("offer", "printer", 631, 0, "0.0.0.0") as offering:
        result = program.run("find", offering.port(), "127.255.255.255")
        check(re.fullmatch(r"printer 631 at [\d.]+\n", result.stdout), "found", result)


def graceful_restart(program):
    def answer(port):
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
            client.sendall(b"hello\n")
            return int(client.makefile("rb").readline().removesuffix(b": hello\n"))

    with Running(program, [0], status=0) as server:
        first = answer(server.port())
        check(first == server.process.pid, "another answered")
        os.kill(first, signal.SIGHUP)
        server.process.wait(DEADLINE)
        check(answer(server.port()) != first, "the old one answered")


def all_cores(program):
    cores = len(os.sched_getaffinity(0))
    with socket.socket() as reserved:  # bound, not listening: the port is ours and stays free
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        with Running(program, [port], status=0) as server:
            started = sorted([server.first] + [server.process.stdout.readline() for _ in range(cores - 1)])
            check(started == sorted(f"core {core} listens\n" for core in range(cores)), started)
            for number in range(20):
                with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
                    talk(client, b"%d\n" % number)
        check(server.rest == "20 lines\n", server.rest)


# --- all of them ---------------------------------------------------------------------------------


def prints(program):
    expected, result = program.example.prints, program.run()
    pattern = "".join(".*?".join(map(re.escape, line.split("..."))) + "\n" if line != "..." else "(?:.*\n)*?"
                      for line in expected)
    check(result.returncode == 0, "ended with", result.returncode, result.stderr)
    check(re.fullmatch(pattern, result.stdout), "printed\n" + result.stdout)
    check(result.stderr == "", "complained:", result.stderr)


def try_out(program):
    try:
        example = program.example
        if example.prints:
            prints(program)
        if example.title in DRIVERS:
            DRIVERS[example.title](program)
        if program.backend == "epoll":
            head = program.run("--help")
            check(head.returncode == 0 and f"./dev example {example.number}" in head.stdout, "--help says", head)
        return ""
    except Exception as fault:
        return f"{program.backend} {example.name}: {fault}"


DRIVERS = {f.__name__: f for f in (echo_server, unix_echo, udp_echo, tls_echo, chat_client, file_transfer, discovery,
                                   all_cores, interactive, directory_watcher, graceful_restart)}


def main() -> int:
    chosen = [e for e in examples() if not sys.argv[1:] or any(a in e.name for a in sys.argv[1:])]
    backends = [os.environ["ASYNCIO_BACKEND"]] if os.environ.get("ASYNCIO_BACKEND") else ["io_uring", "epoll"]
    if sys.version_info >= (3, 11):
        backends.append("python")
    faults = table_faults()
    programs = []
    for example in chosen:
        if not example.prints and example.title not in DRIVERS:
            faults.append(f"{example.name}: says not what it prints, and has no driver")
        elif os.path.exists(f"{BUILD}/example_{example.name}"):
            programs += [Program(example, b) for b in backends if b != "python" or example.python.exists()]
        else:
            print(f"{example.name}: not built here")
    with ThreadPoolExecutor(4) as pool:
        faults += [fault for fault in pool.map(try_out, programs) if fault]
    print("\n".join(faults))
    print(f"{len(chosen)} examples, {len(programs)} runs, {len(faults)} faults")
    return 1 if faults or not programs else 0


if __name__ == "__main__":
    sys.exit(main())
