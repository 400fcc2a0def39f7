#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples that end by themselves print what they should; the echo server echoes. On both backends."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

BUILD = os.environ.get("ASYNCIO_BUILD_DIR", "build/dev")
DEADLINE = 20  # seconds

EXPECTED = {
    "02_dinner": "starting pasta\nstarting salad\nstarting pizza\npasta done, salad done, pizza done\n"
                + "starting soup\n" * 10 + "10 soups\n",
    "07_cancel": "10\n9\n8\nthe rocket is secured\ncancelled: there is a bird on it\n",
    "37_subprocesses": "".join(f"PROGRAM {i}\n" for i in range(1, 6))
                       + "std::system_error: run no-such-program: No such file or directory\n"
                       + "the slow one ended with -15\n",
    "41_files": "lines: 1000 2000 3000\nall in one piece\n4 files, one of them a copy of 20893 bytes\n",
    "12_retry": "no answer within 50 ms\nno answer within 100 ms\nthe oracle says 42\n",
    "21_producer_consumer": "".join(f"baked loaf {i}\n" for i in range(1, 7)) + "Ann has 3, Bob has 3\n",
    "22_pipeline": "a 200\nb 100\nc 50\nn 100\n",
    "23_urgent_first": "0 heart attack\n1 broken arm\n2 sprained ankle\n2 cut finger\n3 sore throat\ngoing home\n",
    "25_rate_limit": "10 pages, sum 385, at most 3 at a time\n",
    "13_task_group": "three probes are out\nfuel: fine\nweather: stopped\nno launch: std::runtime_error: engine is on fire\n",
    "27_resource_pool": "worker 1 has connection 1\nworker 2 has connection 2\nworker 3 has connection 1\n"
                        "worker 4 has connection 2\nworker 5 has connection 1\n1\n4\n"
                        "std::runtime_error: worker 3 asked nonsense\n16\n25\n2 connections are back\n",
}


def printed_by(path):
    """What the comment at the head of an example says after `// prints:`."""
    with open(path, encoding="utf-8") as file:
        head = re.search(r"^// prints:\n((?://     .*\n)+)", file.read(), re.MULTILINE)
    return re.sub(r"^//     ", "", head[1], flags=re.MULTILINE) if head else None


EXPECTED.update((path.stem, text) for path in sorted(pathlib.Path("examples").glob("*.cpp")) if (text := printed_by(path)))


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def run(name, environment):
    start = time.monotonic()
    result = subprocess.run([f"{BUILD}/example_{name}"], capture_output=True, text=True, timeout=DEADLINE, env=environment)
    check(result.returncode == 0, name, "ended with", result.returncode, result.stderr)
    check(result.stdout == EXPECTED[name], name, "printed", result.stdout)
    check(result.stderr == "", name, "complained:", result.stderr)
    return time.monotonic() - start


def echo(environment):
    server = subprocess.Popen([f"{BUILD}/example_29_echo_server", "0"], stdout=subprocess.PIPE, text=True, env=environment)
    try:
        port = int(re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", server.stdout.readline())[1])
        for text in (b"hello\n", b"x" * 60000 + b"\n", b"no newline"):
            with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
                client.settimeout(DEADLINE)
                client.sendall(text)
                client.shutdown(socket.SHUT_WR)
                check(client.makefile("rb").read() == text, "echoed wrongly")
        server.send_signal(signal.SIGINT)
        check(server.stdout.read() == "bye\n")
        check(server.wait(DEADLINE) == 0, "the echo server ended with", server.returncode)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def all_cores(environment):
    cores = len(os.sched_getaffinity(0))
    with socket.socket() as reserved:  # bound, not listening: the port is ours and stays free
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        server = subprocess.Popen([f"{BUILD}/example_45_all_cores", str(port)], stdout=subprocess.PIPE, text=True, env=environment)
        try:
            started = sorted(server.stdout.readline() for _ in range(cores))
            check(started == sorted(f"core {core} listens\n" for core in range(cores)), started)
            for number in range(20):
                with socket.create_connection(("127.0.0.1", port), DEADLINE) as client:
                    client.settimeout(DEADLINE)
                    client.sendall(b"%d\n" % number)
                    check(client.makefile("rb").readline() == b"%d\n" % number, "echoed wrongly")
            server.send_signal(signal.SIGINT)
            check(server.stdout.read() == "20 lines\n")
            check(server.wait(DEADLINE) == 0, "the server on all cores ended with", server.returncode)
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


class Example:
    """An example that runs until it is interrupted."""

    def __init__(self, environment, name, *arguments, **options):
        self.process = subprocess.Popen([f"{BUILD}/example_{name}", *map(str, arguments)], text=True,
                                        stdout=subprocess.PIPE, env=environment, **options)

    def __enter__(self):
        self.first = self.process.stdout.readline()
        return self

    def __exit__(self, kind, error, trace):
        self.process.send_signal(signal.SIGINT)
        try:
            rest, _ = self.process.communicate(timeout=DEADLINE)
        finally:
            self.process.kill()
            self.process.wait()
        if error is None:
            check(rest.endswith("bye\n"), "said at its end", rest)
            check(self.process.returncode == 0, "ended with", self.process.returncode)

    def port(self):
        return int(re.search(r":(\d+)\n", self.first)[1])


def udp_echo(environment):
    with Example(environment, "31_udp_echo", 0) as server, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(DEADLINE)
        client.connect(("127.0.0.1", server.port()))
        for text in (b"hello", b"", b"x" * 60000):
            client.send(text)
            check(client.recv(65536) == text, "echoed wrongly")


def unix_echo(environment):
    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/echo.sock"
        with Example(environment, "30_unix_echo", path), socket.socket(socket.AF_UNIX) as client:
            check(os.stat(path).st_mode & 0o777 == 0o600, "others may use the socket")
            client.settimeout(DEADLINE)
            client.connect(path)
            client.sendall(b"hello\n")
            check(client.makefile("rb").readline() == b"hello\n", "echoed wrongly")
        check(not os.path.exists(path), "the socket file is left behind")


def file_transfer(environment):
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        data = os.urandom(3_000_000)
        with open(f"{here}/data.bin", "wb") as file:
            file.write(data)
        with Example(environment, "34_file_transfer", "receive", there, 0) as receiver:
            result = subprocess.run([f"{BUILD}/example_34_file_transfer", "send", f"{here}/data.bin",
                                     str(receiver.port())], capture_output=True, text=True,
                                    timeout=DEADLINE, env=environment)
            check(result.stdout == "received data.bin\n", result.stdout, result.stderr)
        with open(f"{there}/data.bin", "rb") as file:
            check(file.read() == data, "the file arrived changed")


def discovery(environment):
    everybody = "127.255.255.255"
    with Example(environment, "35_discovery", "offer", "printer", 631, 0) as offering:
        result = subprocess.run([f"{BUILD}/example_35_discovery", "find", str(offering.port()), everybody],
                                capture_output=True, text=True, timeout=DEADLINE, env=environment)
        check(re.fullmatch(r"printer 631 at [\d.]+\n", result.stdout), "found", result.stdout, result.stderr)


def interactive(environment):
    said = "I like my cat\nI am tired."
    answers = "Tell me about yourself.\nWhy do you say you like your cat?\nWhy do you say you are tired?\nGoodbye.\n"
    program = [f"{BUILD}/example_38_interactive", "talk"]
    with tempfile.TemporaryFile("w+") as file:
        file.write(said)
        file.seek(0)
        for options in ({"input": said}, {"stdin": file}):
            result = subprocess.run(program, capture_output=True, text=True, timeout=DEADLINE, env=environment, **options)
            check(result.stdout == answers, "the conversation was", result.stdout, result.stderr)


def directory_watcher(environment):
    with tempfile.TemporaryDirectory() as here:
        with Example(environment, "42_directory_watcher", here) as watcher:
            with open(f"{here}/letter", "w"):
                pass
            check(watcher.process.stdout.readline() == "created    letter\n")
            check(watcher.process.stdout.readline() == "written    letter\n")


def chat_client(environment):
    server = subprocess.Popen([f"{BUILD}/example_chat_server", "--port", "0"], text=True,
                              stdout=subprocess.PIPE, env=environment)
    try:
        port = re.search(r":(\d+)\n", server.stdout.readline())[1]
        result = subprocess.run([f"{BUILD}/example_33_chat_client", "127.0.0.1", port], input="/nick me\n/who\n",
                                capture_output=True, text=True, timeout=DEADLINE, env=environment)
        for line in ("-- welcome", "-- you are me now", "-- here are me", "-- goodbye"):
            check(line in result.stdout, "the chat lacks", line, "in", result.stdout, result.stderr)
        check(result.returncode == 0, "the chat client ended with", result.returncode)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def main():
    chosen = os.environ.get("ASYNCIO_BACKEND")
    for backend in [chosen] if chosen else ["io_uring", "epoll"]:
        environment = {**os.environ, "ASYNCIO_BACKEND": backend}
        for name in EXPECTED:
            print(f"{backend} {name}: ok, {run(name, environment):.2f} s", flush=True)
        for example in (echo, all_cores, udp_echo, unix_echo, file_transfer, discovery, chat_client, interactive,
                        directory_watcher):
            example(environment)
            print(f"{backend} {example.__name__}: ok", flush=True)


if __name__ == "__main__":
    main()
