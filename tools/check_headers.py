#!/usr/bin/env python3
"""Every header compiles alone, and weighs (preprocessed lines of code) no more than its limit; so does the
syntax tree that the compiler makes of some, in kilobytes: what templates cost, lines do not show.

usage: check_headers.py [ROOT]        environment: HEADER_CXX (clang++-19), JOBS, WEIGHTS=1 prints all

The limits are in tools/header_weight.txt: one default, and lines for rooms and headers that may be heavier.
What compiled alone is remembered by its preprocessed text in build/headers.json: unchanged headers cost
one preprocessing.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys

CXX = os.environ.get("HEADER_CXX", "clang++-19")
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-DASYNCIO_STRICT_LIFETIMES=1", "-x", "c++"]


def headers(root: str) -> list[str]:
    found = []
    for place, _, names in os.walk(os.path.join(root, "asyncio")):
        found += [os.path.relpath(os.path.join(place, name), root) for name in names if name.endswith(".hpp") and not name.endswith("_test.hpp")]
    return sorted(found)


def limits(root: str) -> tuple[int, dict[str, int], dict[str, int]]:
    """The file: `default N`, then `asyncio/room/ N` or `asyncio/room/name.hpp N`, with a reason after #; and
    `tree asyncio/room/name.hpp N`, the kilobytes of its syntax tree."""
    default, special, trees = 25000, {}, {}
    with open(os.path.join(root, "tools/header_weight.txt"), encoding="utf-8") as file:
        for line in file:
            words = line.split("#")[0].split()
            if len(words) == 2 and words[0] == "default":
                default = int(words[1])
            elif len(words) == 3 and words[0] == "tree":
                trees[words[1]] = int(words[2])
            elif words:
                special[words[0]] = int(words[1])
    return default, special, trees


def limit_of(header: str, default: int, special: dict[str, int]) -> int:
    return special.get(header, special.get(os.path.dirname(header).replace("/detail", "") + "/", default))


def compiler(root: str, header: str, *options: str) -> subprocess.CompletedProcess:
    source = f"#include <{header}>\n#include <{header}>\n"
    return subprocess.run([CXX, *FLAGS, *options, "-I", root, "-"], input=source, capture_output=True, text=True)


def examine(root: str, header: str, known: set[str]) -> tuple[str, int, str, str]:
    """Header, its weight, the fingerprint of what compiled, and what the compiler said."""
    preprocessed = compiler(root, header, "-E")
    if preprocessed.returncode:
        return header, 0, "", preprocessed.stderr
    weight = sum(1 for line in preprocessed.stdout.split("\n") if line.strip() and not line.startswith("#"))
    mark = hashlib.sha256("\0".join([CXX, *FLAGS, preprocessed.stdout]).encode()).hexdigest()
    if mark in known:
        return header, weight, mark, ""
    compiled = compiler(root, header, "-fsyntax-only")
    return header, weight, mark if not compiled.returncode else "", compiled.stderr


def tree_of(root: str, header: str) -> int:
    """The kilobytes of the header's syntax tree; 0 from a compiler that does not tell."""
    said = compiler(root, header, "-fsyntax-only", "-Xclang", "-print-stats").stderr
    return max((int(used) for used in re.findall(r"Bytes used: (\d+)", said)), default=0) // 1000


def main() -> int:
    root = sys.argv[1] if len(sys.argv) > 1 else "."
    default, special, trees = limits(root)
    remembered = os.path.join(root, "build/headers.json")
    try:
        with open(remembered, encoding="utf-8") as file:
            known = set(json.load(file))
    except (OSError, ValueError):
        known = set()
    paths, faults = headers(root), []
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("JOBS", os.cpu_count() or 2))) as pool:
        results = list(pool.map(lambda path: examine(root, path, known), paths))
    for header, weight, mark, said in results:
        limit = limit_of(header, default, special)
        if not mark:
            faults.append(f"{header}: does not compile alone\n{said}")
        elif weight > limit:
            faults.append(f"{header}: {weight} preprocessed lines, the limit is {limit} (tools/header_weight.txt)")
        if os.environ.get("WEIGHTS"):
            print(f"{weight:7} {header}")
    for header, limit in trees.items():
        tree = tree_of(root, header) if header in paths else 0
        if tree > limit:
            faults.append(f"{header}: a syntax tree of {tree} kB, the limit is {limit} (tools/header_weight.txt)")
        if os.environ.get("WEIGHTS"):
            print(f"{tree:7} kB: the syntax tree of {header}")
    faults += [f"tools/header_weight.txt: {name} does not exist" for name in [*special, *trees] if name.endswith(".hpp") and name not in paths]
    os.makedirs(os.path.dirname(remembered), exist_ok=True)
    with open(remembered, "w", encoding="utf-8") as file:
        json.dump(sorted({mark for _, _, mark, _ in results if mark}), file)
    print("\n".join(faults) if faults else f"{len(paths)} headers")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
