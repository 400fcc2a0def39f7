#!/usr/bin/env python3
"""Do the usual mistakes give one readable sentence of ours, as the first error, on this compiler?

Each program in tests/wrong_programs/ says in its second line what the first error must contain;
"none" must compile. A third line `// clang: FLAGS` says that only Clang sees it, with these flags.
usage: wrong_programs_test.py [NAME...]
"""
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "wrong_programs")
CXX = os.environ.get("CXX", "clang++-19")
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Werror", "-DASYNCIO_NO_COMPILER_NOTE", "-I", os.path.dirname(HERE)]


def first_error(text: str) -> str:
    return next((line for line in text.splitlines() if "error: " in line), "none")


def check(name: str) -> str:
    """What is wrong with that program's message; empty if nothing is."""
    path = os.path.join(FOLDER, name)
    with open(path, encoding="utf-8") as file:
        lines = file.read().splitlines()
    expected = lines[1].removeprefix("// error: ")
    more = lines[2].removeprefix("// clang:").split() if lines[2].startswith("// clang:") else []
    if more and "clang" not in os.path.basename(CXX):
        return ""
    run = subprocess.run([CXX, *FLAGS, *more, path], capture_output=True, text=True, timeout=120, env={**os.environ, "LC_ALL": "C"})
    found = first_error(run.stderr)
    if expected == "none":
        return "" if run.returncode == 0 else f"{name}: does not compile: {found}"
    if run.returncode == 0:
        return f"{name}: compiles"
    return "" if expected in found else f"{name}: the first error is not ours\n  expected {expected}\n  found    {found}"


def main() -> int:
    names = sorted(name for name in os.listdir(FOLDER) if name.endswith(".cpp"))
    if len(sys.argv) > 1:
        names = [name for name in names if name.removesuffix(".cpp") in sys.argv[1:]]
    with ThreadPoolExecutor(2) as pool:
        faults = [fault for fault in pool.map(check, names) if fault]
    print("\n".join(faults))
    print(f"{len(names) - len(faults)} of {len(names)} programs as expected")
    return 1 if faults or not names else 0


if __name__ == "__main__":
    sys.exit(main())
