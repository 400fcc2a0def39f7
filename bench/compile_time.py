#!/usr/bin/env python3
"""What a program pays for its first include: hello world with coroutines, ours and Boost.Asio's.

usage: compile_time.py [--rounds N] [--compilers clang++-19,g++] [--optimise -O0]

User time of the compiler, from source to object, best and median of the rounds; the programs take turns.
"""
import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = """#include <asyncio/asyncio.hpp>
#include <cstdio>
asyncio::Coro<> hello() {
    co_await asyncio::sleep(std::chrono::seconds(1));
    std::puts("hello world");
}
int main() { asyncio::run(hello()); }
"""
ASIO = """#include <boost/asio.hpp>
#include <cstdio>
namespace net = boost::asio;
net::awaitable<void> hello() {
    net::steady_timer timer(co_await net::this_coro::executor, std::chrono::seconds(1));
    co_await timer.async_wait(net::use_awaitable);
    std::puts("hello world");
}
int main() {
    net::io_context context;
    net::co_spawn(context, hello(), net::detached);
    context.run();
}
"""


def user_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def system_headers(command: list[str]) -> str:
    """The headers of the system that ours name: what the same program would pay without us."""
    lines = subprocess.run([*command, "-H"], stderr=subprocess.PIPE, text=True, check=True).stderr.split("\n")
    found, parents = [], {}
    for dots, _, path in (line.partition(" ") for line in lines if line.startswith(".")):
        parents[len(dots)] = path
        if not path.startswith(ROOT) and (len(dots) == 1 or parents[len(dots) - 1].startswith(ROOT)):
            found.append(f'#include "{path}"\n')
    return "".join(dict.fromkeys(found)) + "int main() {}\n"


def compiles(command: list[str]) -> bool:
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compilers", default="clang++-19,g++")
    parser.add_argument("--optimise", default="-O0")
    options = parser.parse_args()
    print("| compiler | program | user s (median) | best | ours / it |\n|---|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for compiler in options.compilers.split(","):
            if shutil.which(compiler):
                measure(compiler, folder, options)


def measure(compiler: str, folder: str, options: argparse.Namespace) -> None:
    commands = {}
    texts = {"asyncio": OURS, "Boost.Asio": ASIO, "standard headers": ""}
    for name, text in texts.items():
        source = os.path.join(folder, name + ".cpp")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text or system_headers(commands["asyncio"]))
        command = [compiler, "-std=c++20", options.optimise, "-DASYNCIO_NO_COMPILER_NOTE", "-I", ROOT,
                   "-c", source, "-o", os.path.join(folder, "out.o")]
        if compiles(command):
            commands[name] = command
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.rounds):
        for name, command in commands.items():
            times[name].append(user_seconds(command))
    for name, found in times.items():
        ratios = [ours / other for ours, other in zip(times.get("asyncio", []), found)]
        ratio = f"{statistics.median(ratios):.2f}" if ratios else ""
        label = f"{compiler} {options.optimise}"
        print(f"| {label} | {name} | {statistics.median(found):.2f} | {min(found):.2f} | {ratio} |")


main()
