#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The examples that end by themselves print what they should; the echo server echoes. On both backends."""
import os
import re
import signal
import socket
import subprocess
import time

BUILD = os.environ.get("ASYNCIO_BUILD_DIR", "build/dev")
DEADLINE = 20  # seconds

EXPECTED = {
    "01_hello": "starting pasta\nstarting salad\nstarting pizza\npasta done, salad done, pizza done\n"
                + "starting soup\n" * 10 + "10 soups\n",
    "03_cancel": "10\n9\n8\nthe rocket is secured\ncancelled: there is a bird on it\n",
    "11_subprocesses": "".join(f"PROGRAM {i}\n" for i in range(1, 6))
                       + "std::system_error: run no-such-program: No such file or directory\n"
                       + "the slow one ended with -15\n",
    "12_files": "lines: 1000 2000 3000\nall in one piece\n4 files, one of them a copy of 20893 bytes\n",
    "04_retry": "no answer within 50 ms\nno answer within 100 ms\nthe oracle says 42\n",
    "06_producer_consumer": "".join(f"baked loaf {i}\n" for i in range(1, 7)) + "Ann has 3, Bob has 3\n",
    "07_pipeline": "a 200\nb 100\nc 50\nn 100\n",
    "08_urgent_first": "0 heart attack\n1 broken arm\n2 sprained ankle\n2 cut finger\n3 sore throat\ngoing home\n",
    "09_rate_limit": "10 pages, sum 385, at most 3 at a time\n",
    "13_task_group": "three probes are out\nfuel: fine\nweather: stopped\nno launch: std::runtime_error: engine is on fire\n",
    "14_resource_pool": "worker 1 has connection 1\nworker 2 has connection 2\nworker 3 has connection 1\n"
                        "worker 4 has connection 2\nworker 5 has connection 1\n1\n4\n"
                        "std::runtime_error: worker 3 asked nonsense\n16\n25\n2 connections are back\n",
}


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
    server = subprocess.Popen([f"{BUILD}/example_02_echo_server", "0"], stdout=subprocess.PIPE, text=True, env=environment)
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
        server = subprocess.Popen([f"{BUILD}/example_05_all_cores", str(port)], stdout=subprocess.PIPE, text=True, env=environment)
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


def main():
    chosen = os.environ.get("ASYNCIO_BACKEND")
    for backend in [chosen] if chosen else ["io_uring", "epoll"]:
        environment = {**os.environ, "ASYNCIO_BACKEND": backend}
        for name in EXPECTED:
            print(f"{backend} {name}: ok, {run(name, environment):.2f} s", flush=True)
        echo(environment)
        print(f"{backend} 02_echo_server: ok", flush=True)
        all_cores(environment)
        print(f"{backend} 05_all_cores: ok", flush=True)


if __name__ == "__main__":
    main()
