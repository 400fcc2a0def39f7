#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The graceful restart example: connections go on over two restarts, and none is refused meanwhile; started
with an inherited listener it is a socket-activated service. On both backends."""
import os
import re
import signal
import socket
import subprocess
import threading

BUILD = os.environ.get("ASYNCIO_BUILD_DIR", "build/dev")
PROGRAM = f"{BUILD}/example_47_graceful_restart"
DEADLINE = 20  # seconds


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), DEADLINE)
        self.file = self.socket.makefile("rw")

    def ask(self, text):
        """Who answers."""
        self.file.write(text + "\n")
        self.file.flush()
        pid, answer = self.file.readline().rstrip("\n").split(": ")
        check(answer == text, "another echo:", answer)
        return int(pid)

    def close(self):
        self.file.close()
        self.socket.close()


def listening(output):
    found = re.fullmatch(r"(\d+) is listening on 127\.0\.0\.1:(\d+)\n", output.readline())
    check(found, "no line about listening")
    return int(found[1]), int(found[2])


def restarts(environment):
    server = subprocess.Popen([PROGRAM, "0"], stdout=subprocess.PIPE, text=True, env=environment)
    pid, port = listening(server.stdout)
    stop, answers, errors = threading.Event(), [], []

    def keep_asking():
        while not stop.is_set():
            try:
                client = Client(port)
                answers.append(client.ask("are you there"))
                client.close()
            except Exception as error:  # whatever it is, the test has failed
                errors.append(error)

    asking = threading.Thread(target=keep_asking, daemon=True)  # a failure must not wait for it
    asking.start()
    olds = [(pid, Client(port))]
    check(olds[0][1].ask("first") == pid, "who is that?")
    for _ in range(2):
        os.kill(olds[-1][0], signal.SIGHUP)
        successor, same_port = listening(server.stdout)
        check(same_port == port, "another port")
        while True:  # the old one may still accept for a moment
            client = Client(port)
            if client.ask("second") == successor:
                break
            client.close()
        olds.append((successor, client))
    for pid, client in olds:
        check(client.ask("still") == pid, "the old connection is not its process's")
    stop.set()
    asking.join()
    check(not errors, "refused or broken meanwhile:", errors)
    check(answers, "nobody asked")
    for pid, client in olds[:-1]:
        client.close()
        check(server.stdout.readline() == f"{pid} has no more connections\n", pid, "does not end")
    check(server.wait(DEADLINE) == 0, "the first ended with", server.returncode)
    os.kill(olds[-1][0], signal.SIGINT)
    check(server.stdout.readline() == "bye\n", "the last does not end")
    return len(answers)


def activation(environment):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        number = listener.fileno()
        client = Client(listener.getsockname()[1])  # before there is a server
        server = subprocess.Popen([PROGRAM, "--listener", str(number)], stdout=subprocess.PIPE, text=True,
                                  pass_fds=[number], env=environment)
    check(client.ask("hello") == server.pid, "not the activated one")
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=DEADLINE)
    check(server.returncode == 0, "it ended with", server.returncode)


def main():
    for backend in ("epoll", "io_uring"):
        environment = {**os.environ, "ASYNCIO_BACKEND": backend}
        asked = restarts(environment)
        activation(environment)
        print(f"{backend}: two restarts under {asked} connections, and activation: ok", flush=True)


if __name__ == "__main__":
    main()
