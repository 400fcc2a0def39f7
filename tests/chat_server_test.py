#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What examples/chat_server promises, tried from outside through real sockets, on both backends.

    ASYNCIO_BUILD_DIR=build/dev tests/chat_server_test.py [TEST...]

ASYNCIO_BACKEND      only this backend
ASYNCIO_TEST_SCALE   how many lines the 500 clients say, as a factor; 1 is 100,000 lines, of which
                     49.9 million copies are received. Default 0.2, under sanitizers 0.05. The
                     number of clients and what is checked stay the same.
"""
import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("ASYNCIO_BUILD_DIR", "build/dev")
FLAGS = os.environ.get("ASYNCIO_CXX_FLAGS", "")
SANITIZED = "sanitize" in FLAGS
SCALE = float(os.environ.get("ASYNCIO_TEST_SCALE", "0.05" if SANITIZED else "0.2"))
SANITIZERS = {  # what was freed must go back for its return to be seen
    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") +
    ":quarantine_size_mb=1:allocator_release_to_os_interval_ms=100",
}
CLIENTS = 500
LINES_EACH = max(10, int(200 * SCALE))  # sent by each of the 500
BATCH = 10                              # sent by a client before it waits for everybody else's
DEADLINE = 10.0                         # seconds for anything that should come at once
SLOW = 5 if SANITIZED else 1            # how much longer a sanitized server may take
KEPT = 200 if "thread" in FLAGS else 40 if SANITIZED else 8  # MiB more than before; the rest is shadow


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def eventually(condition, what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < end, "did not happen:", what)
        time.sleep(0.02)


class Server:
    def __init__(self, backend, descriptors=None):
        def limit():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.log = tempfile.TemporaryFile("w+")
        environment = {**os.environ, "ASYNCIO_BACKEND": backend, **SANITIZERS}
        self.process = subprocess.Popen(
            [f"{BUILD}/example_chat_server", "--port", "0"], stdout=subprocess.PIPE,
            stderr=self.log, preexec_fn=limit, env=environment)
        first = self.process.stdout.readline().decode()
        match = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", first)
        check(match, "the first line is", repr(first), self.errors())
        self.port = int(match[1])
        check(self.port > 0)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self.process.poll() is None:
            if kind is None:
                check(self.stop(signal.SIGTERM) == 0, "exit status", self.errors())
            else:
                self.process.kill()
                self.process.wait()
        if kind is not None:
            print("    the server said:", self.errors()[:4000], flush=True)
        self.process.stdout.close()

    def stop(self, number):
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024  # MiB

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def client(self, name=None, receive_buffer=None):
        return Client(self.port, name, receive_buffer)


class Client:
    def __init__(self, port, name=None, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(("127.0.0.1", port))
        self.stream = self.socket.makefile("rb")
        self.name = re.fullmatch(r"-- welcome, (\S+); .*", self.line())[1]
        if name:
            self.say("/nick " + name)
            self.hears(f"-- you are {name} now")
            self.name = name

    def say(self, text):
        self.socket.sendall((text if isinstance(text, bytes) else text.encode()) + b"\n")

    def line(self):
        return self.stream.readline().decode().rstrip("\n")

    def hears(self, expected):
        line = self.line()
        check(line == expected, self.name, "heard", repr(line[:200]), "not", repr(expected[:200]))

    def awaits(self, expected):
        """The same, other lines may come before."""
        line = self.line()
        while line != expected:
            check(line, self.name, "was dropped waiting for", repr(expected[:200]))
            line = self.line()

    def close(self):
        self.stream.close()
        self.socket.close()


# --- what it does ---------------------------------------------------------------------------------


def test_two_sessions(server):
    ann = server.client()
    bob = server.client()
    check(ann.name != bob.name, "both are", ann.name)
    ann.hears(f"-- {bob.name} joined")
    bob.say("hello")
    ann.hears(f"{bob.name}: hello")
    ann.say("hi, bob\r")  # as telnet ends lines
    bob.hears(f"{ann.name}: hi, bob")
    bob.say("")
    bob.say("Grüße, 世界 👋")
    ann.hears(f"{bob.name}: Grüße, 世界 👋")
    bob.close()
    ann.hears(f"-- {bob.name} left")
    ann.close()


def test_commands(server):
    ann, bob = server.client("ann"), server.client("bob")
    ann.hears("-- guest-2 joined")
    ann.hears("-- guest-2 is bob now")
    ann.say("/who")
    ann.hears("-- here are ann bob")
    ann.say("/me waves")
    bob.hears("* ann waves")
    ann.say("/nick Zoë")
    ann.hears("-- you are Zoë now")
    bob.hears("-- ann is Zoë now")
    bob.say("/nick ann")  # is free again
    bob.hears("-- you are ann now")
    ann.hears("-- bob is ann now")
    ann.say("/help")
    help_text = ann.line()
    check(all(word in help_text for word in ("/nick", "/who", "/me", "/help", "/quit")), help_text)
    ann.say("/quit")
    ann.hears("-- goodbye")
    check(ann.stream.read() == b"", "the connection is open after /quit")
    bob.hears("-- Zoë left")


def test_mistakes(server):
    ann, bob = server.client("ann"), server.client("bob")
    ann.hears("-- guest-2 joined")
    ann.hears("-- guest-2 is bob now")
    too_long = "-- a line has at most 8 KiB, so nobody got that one"
    malformed = "-- that is not valid UTF-8, so nobody got it"
    control = "-- there are control characters in that, so nobody got it"
    bad_name = "-- a nickname is 1 to 32 bytes of letters, digits, - and _"
    for said, answer in [
            ("x" * 8193, too_long), ("x" * 16384, too_long), ("x" * 1_000_000, too_long),
            (b"\xff", malformed), (b"a\xc3", malformed), (b"\xc0\xaf", malformed),
            (b"\x80", malformed), (b"\xed\xa0\x80", malformed), (b"\xf4\x90\x80\x80", malformed),
            (b"\xe0\x80\x80", malformed), (b"\xf8\x88\x80\x80\x80", malformed),
            (b"/me \xff", malformed), (b"/nick \xff", malformed),
            ("\x1b[2J", control), ("a\tb", control), ("a\0b", control), ("\x7f", control),
            ("\u009b2J", control), ("a\rb", control), ("\u202eabc", control),
            ("/nick bob", "-- bob is taken"), ("/nick ann", "-- ann is taken"),
            ("/nick", bad_name), ("/nick ", bad_name), ("/nick a b", bad_name),
            ("/nick " + "n" * 33, bad_name), ("/nick a:", bad_name), ("/nick /who", bad_name),
            ("/frobnicate", "-- no such command; try /help")]:
        ann.say(said)
        ann.hears(answer)
    for said in ("x" * 8192, "y" * 8191 + "\r", "\U0010ffff \ud7ff \ue000 \x7e"):
        ann.say(said)
        bob.hears("ann: " + said.rstrip("\r"))  # the next thing he hears after all of the above
    ann.socket.sendall(b"half a line")
    ann.socket.shutdown(socket.SHUT_WR)
    bob.hears("-- ann left")
    ann.hears("-- goodbye")


def test_never_reads(server):
    ann, bob = server.client("ann"), server.client("bob")
    ann.hears("-- guest-2 joined")
    ann.hears("-- guest-2 is bob now")
    lazy = server.client("lazy", receive_buffer=4096)
    for one in ann, bob:
        one.hears("-- guest-3 joined")
        one.hears("-- guest-3 is lazy now")
    before, most, slowest, left, sent = server.memory(), 0, 0, 0, 0
    while not left or sent < 400:
        check(sent < 4000, "not dropped after", sent, "lines of 8 KiB")
        text = f"{sent} ".ljust(8192, "x")
        start = time.monotonic()
        ann.say(text)
        sent += 1
        line = bob.line()
        if line == "-- lazy left":
            left = sent
            line = bob.line()
        check(line == "ann: " + text, "bob heard", repr(line[:100]))
        slowest = max(slowest, time.monotonic() - start)
        most = max(most, server.memory())
    ann.hears("-- lazy left")
    check("dropped lazy (127.0.0.1:" in server.errors(), "the log says", server.errors())
    check(slowest < 1, "a line took", slowest, "s")
    check(most - before < KEPT, "memory grew by", most - before, "MiB")
    figures(f"dropped after {left * 8} KiB, slowest line {slowest * 1e3:.1f} ms, "
            f"memory +{most - before:.1f} MiB")
    lazy.close()


# --- many -----------------------------------------------------------------------------------------


class Crowd:
    """Some of the 500 clients, in a process of its own that can be killed."""

    def __init__(self, port, first, end):
        self.process = subprocess.Popen([sys.executable, __file__, "--crowd", str(port), str(first), str(end)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)

    def done(self):
        answer = self.process.stdout.readline().rstrip("\n")
        check(answer.startswith("ok"), "a crowd says", answer)
        return answer[3:]

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def name_of(number):
    return f"c{number:03}"


def crowd_main(port, first, end):
    """Commands on standard input: talk FIRST END COUNT (with the clients of these numbers), half."""
    clients = []
    for number in range(first, end):
        one = socket.create_connection(("127.0.0.1", port), DEADLINE)
        one.sendall(f"/nick {name_of(number)}\n".encode())
        clients.append(one)
    for one, number in zip(clients, range(first, end)):  # what is left of the last line may follow
        heard = b""
        while f"-- you are {name_of(number)} now\n".encode() not in heard:
            data = one.recv(65536)
            check(data, name_of(number), "was dropped")
            heard = heard[-100:] + data
        one.setblocking(False)
    print("ok", flush=True)
    rests = {}
    for command in sys.stdin:
        words = command.split()
        if words[0] == "talk":
            print("ok", talk(clients, first, *map(int, words[1:]), rests), flush=True)
        elif words[0] == "half":
            for one in clients:
                one.sendall(b"HALF a li")
            print("ok", flush=True)


def talk(clients, first, low, high, count, rests):
    """Each says COUNT lines; returns when each has got all lines of all others, in order."""
    names = [name_of(n) for n in range(low, high)]
    starts = {name: f"{name}: 0".encode() for name in names}
    after = {f"{name}: {n}".encode(): f"{name}: {n + 1}".encode() for name in names for n in range(count)}
    ends = {name: f"{name}: {count}".encode() for name in names}
    selector = selectors.DefaultSelector()

    def say(one, start):
        one.sendall(b"".join(b"%d\n" % n for n in range(start, min(count, start + BATCH))))

    def take(me, due, lines):
        """`due` has the line to be heard next from each of the others."""
        heard = 0
        for line in lines:
            if line in due:
                due.remove(line)
                due.add(after[line])
                heard += 1
            else:
                check(line.startswith(b"-- "), me, "heard", line, "but due are", sorted(due)[:9])
        return heard

    for index, one in enumerate(clients):
        me = name_of(first + index)
        due = {line for name, line in starts.items() if name != me}
        selector.register(one, selectors.EVENT_READ, [me, due, rests.pop(one, b""), 0, 0])
    for one in clients:
        say(one, 0)
    talking, total, silent_since = len(clients), 0, time.monotonic()
    while talking:
        events = selector.select(1)
        if events:
            silent_since = time.monotonic()
        check(time.monotonic() - silent_since < 3 * DEADLINE, "silence;", talking, "still wait")
        for key, _ in events:
            state = key.data
            me, due, rest, got, said = state
            data = key.fileobj.recv(1 << 18)
            check(data, me, "was dropped")
            lines = (rest + data).split(b"\n")
            state[2] = lines.pop()
            state[3] = got = got + take(me, due, lines)
            if said + BATCH < count and got >= (said + BATCH) * len(due):
                state[4] = said = said + BATCH
                say(key.fileobj, said)
            if got == count * len(due):
                check(due == {line for name, line in ends.items() if name != me})
                total += got
                rests[key.fileobj] = state[2]
                selector.unregister(key.fileobj)
                talking -= 1
    return total


def test_many(server):
    descriptors, memory = server.descriptors(), server.memory()
    half = CLIENTS // 2
    crowds = []
    try:
        for first, end in ((0, half), (half, CLIENTS)):
            crowds.append(Crowd(server.port, first, end))
            crowds[-1].done()
        stay, die = crowds
        start, cpu = time.monotonic(), server.cpu()
        for crowd in crowds:
            crowd.ask("talk", 0, CLIENTS, LINES_EACH)
        received = sum(int(crowd.done()) for crowd in crowds)
        seconds, cpu = time.monotonic() - start, server.cpu() - cpu
        check(received == CLIENTS * (CLIENTS - 1) * LINES_EACH, received, "lines received")
        full = server.memory()
        figures(f"{CLIENTS * LINES_EACH} lines sent, {received} received, none lost, in {seconds:.1f} s; "
                f"server {cpu:.1f} s CPU, {received / max(cpu, 0.01) / 1e6:.1f} million lines a CPU second")

        stay.ask("talk", 0, half, LINES_EACH)
        die.ask("half")
        die.done()
        die.end()  # kill -9, in the middle of 250 lines, while the others talk
        check(int(stay.done()) == half * (half - 1) * LINES_EACH, "lines lost after the kill")
        eventually(lambda: server.descriptors() <= descriptors + half, "the dead leave")
        watcher = server.client("watcher")
        watcher.say("/who")
        present = watcher.line().split()[3:]
        check(len(present) == half + 1, len(present), "are here after the kill")
        watcher.close()
    finally:
        for crowd in crowds:
            crowd.end()
    eventually(lambda: server.descriptors() == descriptors, "all descriptors are closed")
    eventually(lambda: server.memory() < memory + KEPT, f"memory returns from {server.memory()} to {memory}")
    figures(f"memory {memory:.1f} MiB before, {full:.1f} with {CLIENTS} clients, {server.memory():.1f} after")
    check("dropped" not in server.errors(), server.errors())


# --- the end --------------------------------------------------------------------------------------


def shut_down(server, number):
    clients = [server.client() for _ in range(20)]
    lazy = server.client(receive_buffer=4096)
    for _ in range(400):  # more than the system keeps for the lazy one, less than gets it dropped
        clients[0].say("x" * 8000)
        for client in clients[1:]:
            client.awaits(f"{clients[0].name}: " + "x" * 8000)
    start = time.monotonic()
    status = server.stop(number)
    seconds = time.monotonic() - start
    check(status == 0, "exit status", status, server.errors())
    check(seconds < 1 * (2 if SANITIZED else 1), "the end took", seconds, "s")
    for client in clients:
        heard = client.stream.read()
        check(heard.endswith(b"-- the server stops here. Goodbye!\n"), client.name, "heard", heard[-100:])
    check("dropped" not in server.errors(), server.errors())
    figures(f"exit 0 after {seconds * 1e3:.0f} ms")


def test_sigint(server):
    shut_down(server, signal.SIGINT)


def test_sigterm(server):
    shut_down(server, signal.SIGTERM)


def test_alone(server):
    start = time.monotonic()
    check(server.stop(signal.SIGINT) == 0)
    check(time.monotonic() - start < 0.5 * SLOW, "nobody to wait for, but it waited")


def test_descriptors(server):
    if "undefined" in FLAGS and "no-sanitize=vptr" not in FLAGS:
        figures("not here: this sanitizer's check of a vptr opens a pipe, and reports a fault if it cannot")
        return
    first = server.client("first")
    many = []
    for _ in range(200):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(("127.0.0.1", server.port))
        many.append(one)
    eventually(lambda: server.descriptors() >= 60, "all descriptors are taken")
    time.sleep(0.3)
    before = server.cpu()
    time.sleep(2)
    used = server.cpu() - before
    check(used < 0.2 * SLOW, "CPU seconds used in 2 s without descriptors:", used)
    first.say("/nick one")  # who is in goes on
    first.awaits("-- you are one now")
    for one in many:
        one.close()
    late = server.client()  # within DEADLINE
    late.say("/me came")
    first.awaits(f"* {late.name} came")
    figures(f"{used * 1e3:.0f} ms CPU in 2 s; the log has {len(server.errors().splitlines())} lines")


def test_arguments():
    def run(*arguments):
        return subprocess.run([f"{BUILD}/example_chat_server", *arguments], capture_output=True, text=True, timeout=DEADLINE)

    for arguments in (("--port",), ("--frob", "1"), ("8888",)):
        result = run(*arguments)
        check(result.returncode == 1 and result.stderr.startswith("usage: "), arguments, result)
    for port in ("x", "65536", "88x"):
        result = run("--port", port)
        said = f"not a port (0-65535): '{port}'\n"
        check(result.returncode == 1 and result.stderr == said, port, result)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = run("--port", str(taken.getsockname()[1]))
    check(result.returncode == 1 and "Address already in use" in result.stderr, result)


# --------------------------------------------------------------------------------------------------


def figures(text):
    print("    " + text, flush=True)


def main():
    tests = {name[5:]: test for name, test in globals().items() if name.startswith("test_")}
    chosen = sys.argv[1:] or tests
    backends = [os.environ["ASYNCIO_BACKEND"]] if os.environ.get("ASYNCIO_BACKEND") else ["io_uring", "epoll"]
    for name in chosen:
        for backend in backends if name != "arguments" else [""]:
            print(f"{name} {backend}", flush=True)
            start = time.monotonic()
            if name == "arguments":
                tests[name]()
            else:
                with Server(backend, 64 if name == "descriptors" else None) as server:
                    tests[name](server)
            print(f"    ok, {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--crowd"]:
        crowd_main(*map(int, sys.argv[2:]))
    else:
        main()
