#!/usr/bin/env python3
"""G18: fuzzing finds nothing, and the committed inputs reach the code they are for.

usage: g18_fuzz.py [--slice | --nightly]

Per push four targets, a minute each: other ones with each commit, so that all have had their turn after a
few. --nightly: all of them, ten minutes each, and the lines that the committed corpora reach. --slice: the
corpora are replayed, by the build that ASYNCIO_BUILD_DIR names.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import fuzz  # noqa: E402
import rotation  # noqa: E402

PER_PUSH, SECONDS, NIGHTLY_SECONDS = 4, 60, 600
LEAST_COVERAGE = 90.0  # percent


def figure(text: str, holds: bool) -> bool:
    print(text + ("" if holds else " MISSED"), flush=True)
    return holds


def replay() -> bool:
    program = os.path.join(os.environ.get("ASYNCIO_BUILD_DIR", os.path.join(ROOT, "build/release")), "tests/fuzz/fuzz_replay")
    done = subprocess.run([program, os.path.join(fuzz.SOURCES, "corpus")], capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        print("\n".join(done.stderr.split("\n")[-40:]))
    replayed = done.stdout.strip().split("\n")[-1] or "none"
    return figure(f"G18 fuzz: {replayed} replayed, {0 if done.returncode == 0 else 'at least 1'} failed (limit 0)", done.returncode == 0)


def run(names: list[str], seconds: int, at_once: int) -> bool:
    fuzz.build("fuzz", ["fuzz_" + name for name in names])
    executions, findings = fuzz.fuzz(names, seconds, at_once)
    return figure(f"G18 fuzz: {len(names)} targets x {seconds} s, {executions} executions, {findings} findings (limit 0)", findings == 0)


def coverage(names: list[str]) -> bool:
    percent = fuzz.all_coverage(names)
    return figure(f"G18 coverage: the corpora of {len(names)} targets reach {percent:.1f} % of their lines (limit {LEAST_COVERAGE:.0f} %)",
                  percent >= LEAST_COVERAGE)


def main(arguments: list[str]) -> int:
    names = fuzz.targets()
    if arguments == ["--slice"]:
        return 0 if replay() else 1
    if arguments == ["--nightly"]:
        return 0 if run(names, NIGHTLY_SECONDS, 2) & coverage(names) else 1
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    return 0 if run(rotation.rotated(names, PER_PUSH), SECONDS, 1) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
