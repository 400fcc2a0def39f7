#!/usr/bin/env python3
"""G1: the library on Debian 12's own kernel, Linux 6.1, in an emulator.

usage: g01_linux_6_1.py --backend epoll|io_uring [--nightly] [--only PROGRAM[,PROGRAM...][:FILTER]]      (exit 77: it cannot be done here)

The tests of the rooms and the scenarios of g01_fallback, as they are built here, run as root in a system that has
nothing but them, a shell and a few programs (guest.py). The kernel's own tracepoint counts the io_urings made: some in each
program of the io_uring part that has loops, so that nobody takes epoll for io_uring. TLS in the kernel is there, too, which
other machines may lack. --only asyncio_file_tests:File.* runs those and shows what they say.
"""
import argparse
import glob
import os
import re
import sys
import tempfile
from dataclasses import dataclass, field

import guest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ASYNCIO_BUILD_DIR", os.path.join(ROOT, "build/release"))
WITHOUT_LOOPS = ["asyncio_base_tests", "asyncio_coro_tests", "asyncio_os_tests"]
WHOLE, OF_WHOLE = "asyncio_whole_tests", "KernelTlsSocket.*"  # the others: simulated worlds, servers and clients of others
MODULES = ["tls", "gcm", "ghash_generic", "ctr"]  # the kernel's TLS, and what it asks for when it needs it
IN_MEMORY = "Attacks/EveryByte.*"  # long, and asks the kernel for nothing
SHORTER = "ASYNCIO_TEST_SCALE=0.02 ASYNCIO_STORM_ROUNDS=2000"  # an emulator is thirty times slower
SCENARIOS = "proof_g01_fallback"
PROGRAMS = ["sh", "cat", "sleep", "echo", "true", "false", "wc", "tee", "head", "grep", "kill", "env", "printf", "seq", "tr", "ls",
            "ps", "yes", "stty", "tty", "pwd", "rm", "dd", "id", "sort", "test", "touch", "readlink", "mkdir"]
SECONDS, BOOT_SECONDS = 900, 60  # of a program

TEST = re.compile(r"\[\s+(OK|FAILED|SKIPPED)\s+\] (\S+?)(?:, where .*)? \(\d+ ms\)$", re.M)
SECTION = re.compile(r"^=== begin (\S+)\n(.*?)^=== end \1 status (\d+) rings (\d+) seconds (\d+)$", re.M | re.S)


@dataclass
class Part:
    """What one program did."""

    name: str
    output: str
    status: int
    rings: int
    seconds: int
    tests: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tests = {word: [name for how, name in TEST.findall(self.output) if how == word] for word in ("OK", "FAILED", "SKIPPED")}
        if self.status != 0 and not self.tests["FAILED"]:
            begun = re.findall(r"\[ RUN      \] (\S+)", self.output)
            self.tests["FAILED"] = [f"{begun[-1] if begun else self.name}: the program ended with {self.status}"]


def programs() -> list[str]:
    built = {os.path.basename(path) for path in glob.glob(os.path.join(BUILD, "asyncio_*_tests"))}
    return [SCENARIOS, *sorted(built)]


def filter_of(name: str, backend: str) -> str:
    if name == WHOLE:
        return OF_WHOLE
    return f"-{IN_MEMORY}:IoUring.*:*/io_uring_*" if backend == "epoll" else f"-{IN_MEMORY}"


def lines_of_init(backend: str, wanted: list[str], only: str) -> list[str]:
    """The programs one after the other; what each says between two lines of ours."""
    lines = ["trace=/sys/kernel/tracing; echo 1 >$trace/events/io_uring/io_uring_create/enable",
             "rings() { $b sed -n 's,.*entries-written: [0-9]*/\\([0-9]*\\).*,\\1,p' $trace/trace; }",
             "echo; echo === linux $($b uname -r)"]
    for name in wanted:
        tests = f"--gtest_color=no --gtest_filter='{only or filter_of(name, backend)}'"
        arguments = f"--backend {backend}" if name == SCENARIOS else tests
        environment = "" if name == SCENARIOS else f"ASYNCIO_BACKEND={backend} {SHORTER} "
        lines += [f"echo; echo === begin {name}; before=$(rings); began=$($b date +%s)",
                  f"{environment}$b timeout -s KILL {SECONDS} /tests/{name} {arguments} </dev/null 2>&1; status=$?",
                  f"echo; echo === end {name} status $status rings $(($(rings) - before)) seconds $(($($b date +%s) - began))"]
    lines.append("echo; echo === connections encrypted by the kernel: $($b sed -n 's,^TlsTxSw *,,p' /proc/net/tls_stat)")
    return [*lines, "echo; echo === complaints of the kernel; $b dmesg | $b grep -E 'WARNING:|BUG:|Oops|Out of memory'", "echo === done"]


def root_for(image: str, backend: str, wanted: list[str], only: str) -> guest.Root:
    root = guest.Root()
    root.file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    root.file("/etc/group", "root:x:0:\nnogroup:x:65534:\n")
    root.file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")
    root.file("/etc/nsswitch.conf", "hosts: files\nservices: files\n")
    root.file("/etc/services", "http 80/tcp\nhttps 443/tcp\ndomain 53/udp\n")
    root.file("/etc/ssl/openssl.cnf", "")
    root.system_programs(PROGRAMS)
    for name in wanted:
        path = os.path.join(BUILD, "tests/proof" if name == SCENARIOS else "", name)
        if not os.path.exists(path):
            raise guest.Unavailable(f"{path} was not built: ./dev proof G1 --nightly does")
        root.program(path, f"/tests/{name}")
    root.init([*root.modules(image, MODULES), *lines_of_init(backend, wanted, only)])
    return root


def report(backend: str, wanted: list[str], output: str) -> bool:
    linux = (re.findall(r"^=== linux (\S+)$", output, re.M) or [""])[0]
    parts = [Part(name, text, int(status), int(rings), int(seconds)) for name, text, status, rings, seconds in SECTION.findall(output)]
    failed = [f"{part.name}: {test}" for part in parts for test in part.tests["FAILED"]]
    failed += [f"{name}: it did not end" for name in wanted if name not in {part.name for part in parts}]
    if backend == "io_uring":
        failed += [f"{part.name}: no io_uring was made" for part in parts
                   if part.rings == 0 and part.name not in WITHOUT_LOOPS]
    encrypted = sum(int(count) for count in re.findall(r"^=== connections encrypted by the kernel: (\d+)$", output, re.M))
    if WHOLE in wanted and encrypted == 0:
        failed.append(f"{WHOLE}: the kernel encrypted nothing")
    if not linux.startswith("6.1."):
        failed.append(f"the kernel is {linux or 'not up'}")
    failed += [f"the kernel: {line}" for line in re.findall(r"^.*(?:WARNING|BUG|Oops|Out of memory).*$", (output.split("=== complaints")[1:] or [""])[0], re.M)]
    if failed:
        print("\n".join("    " + line for line in [*output.split("\n")[-40:], *failed]))
    scenarios = sum(int(count) for count in re.findall(r"^G1 .*: (\d+) scenarios", output, re.M))
    ok, skipped = (sum(len(part.tests[word]) for part in parts) for word in ("OK", "SKIPPED"))
    print(f"G1 Linux {linux} in an emulator, {backend}: {ok} tests of {len(wanted)} programs, {scenarios} scenarios, {skipped} skipped, "
          f"{sum(part.rings for part in parts)} io_urings made, {encrypted} connections encrypted by the kernel, {len(failed)} failed (limit 0)" + (" MISSED" if failed else ""), flush=True)
    return not failed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", choices=("epoll", "io_uring"), required=True)
    parser.add_argument("--nightly", action="store_true")
    parser.add_argument("--only", default="", metavar="PROGRAM[,PROGRAM...][:FILTER]")
    options = parser.parse_args()
    name, _, only = options.only.partition(":")
    wanted = [program for program in programs() if not name or program in name.split(",")]
    try:
        image = guest.kernel("6.1", os.path.join(BUILD, "linux"))
        with tempfile.TemporaryDirectory() as folder:
            archive = root_for(image, options.backend, wanted, only).write(os.path.join(folder, "root.cpio"))
            log = os.path.join(BUILD, f"linux/{options.backend}.log")
            output = guest.boot(image, archive, log, BOOT_SECONDS + SECONDS * len(wanted))
    except (guest.Unavailable, OSError) as missing:
        print(f"    skipped: Linux 6.1 in an emulator, {options.backend}: {missing}")
        return 77
    if options.only:
        print(output)
    return 0 if report(options.backend, wanted, output) else 1


if __name__ == "__main__":
    sys.exit(main())
