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
EMPTY = "int main() {}\n"


def user_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(command, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


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
    for name, text in (("asyncio", OURS), ("Boost.Asio", ASIO), ("empty", EMPTY)):
        source = os.path.join(folder, name + ".cpp")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
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
