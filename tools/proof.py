#!/usr/bin/env python3
"""Run the goals of docs/reliability.md and print one line a figure.

usage: proof.py [GOAL...] [--nightly | --slice] [--list] [--no-build] [--backend epoll|io_uring]

A GOAL is its number (G7, g07, 7) or a part of its program's name (stack); without one, all. What there
is stands in tests/proof/CMakeLists.txt, which writes build/release/proof.json. Each goal runs once a
backend and preset, within a time of its own; two at a time, those that measure time or memory alone.
A run that fails is shown whole, with the command that repeats it.
Exit: 0 when every goal holds, 1 when not, 2 on wrong usage.
"""
import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIGURE = re.compile(r"^[GM]\d+ .*: ")
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
    "LSAN_OPTIONS": "report_objects=1",
}
PARALLEL = int(os.environ.get("PROOF_JOBS", "2"))


@dataclass
class Run:
    """A goal on a backend in a preset, and what came of it."""

    goal: dict
    preset: str
    arguments: list[str]
    seconds: float = 0
    status: int | str = 0
    output: list[str] = field(default_factory=list)

    @property
    def number(self) -> str:
        letter, digits = re.match(r"([gm])0*(\d+)", self.goal["name"]).groups()
        return letter.upper() + digits

    @property
    def command(self) -> list[str]:
        return [self.goal["command"].replace("/build/release/", f"/build/{self.preset}/"), *self.arguments]

    @property
    def figures(self) -> list[str]:
        return [line for line in self.output if FIGURE.match(line)]

    @property
    def holds(self) -> bool:
        return self.status == 0 and bool(self.figures) and not any(line.endswith("MISSED") for line in self.figures)

    def start(self, timeout: int) -> "Run":
        environment = {**SANITIZERS, **os.environ, "ASYNCIO_BUILD_DIR": os.path.join(ROOT, "build", self.preset)}
        begin = time.monotonic()
        process = subprocess.Popen(self.command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, text=True, errors="replace", start_new_session=True)
        try:
            text, _ = process.communicate(timeout=timeout)
            self.status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, _ = process.communicate()
            self.status = f"nothing for {timeout} s"
        self.output = text.rstrip("\n").split("\n")
        self.seconds = time.monotonic() - begin
        self.say()
        return self

    def say(self) -> None:
        lines = self.figures if self.holds else self.output[-200:]
        if not self.holds:
            backend = "" if self.goal["backend"] == "none" else f", {self.goal['backend']}"
            if not any(line.endswith("MISSED") for line in lines):
                lines = [*lines, f"{self.number} {self.goal['name'][4:]}{backend}: ended with {self.status} MISSED"]
            lines = [*lines, f"    again: {shlex.join(self.command)}"]
        note = "" if self.preset == "release" else f" [{self.preset}]"
        print("\n".join(line + note if FIGURE.match(line) else line for line in lines), flush=True)


def matches(goal: dict, words: list[str]) -> bool:
    name = goal["name"]
    for word in words:
        number = re.fullmatch(r"([gGmM]?)0*(\d+)", word)
        if number and re.match(rf"{number[1].lower() or 'g'}0*{number[2]}_", name):
            return True
        if not number and word.lower() in name:
            return True
    return not words


def build(preset: str, targets: list[str]) -> None:
    tree = os.path.join(ROOT, "build", preset)
    jobs = os.environ.get("JOBS", str(os.cpu_count() or 1))
    steps = [["cmake", "--preset", preset]] if not os.path.exists(os.path.join(tree, "build.ninja")) else []
    steps.append(["cmake", "--build", tree, "-j", jobs, "--target", *targets])
    for step in steps:
        done = subprocess.run(step, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        if done.returncode != 0:
            sys.exit("\n".join(done.stdout.split("\n")[-80:]) + f"\nproof: {shlex.join(step)} failed")


def read_goals() -> list[dict]:
    with open(os.path.join(ROOT, "build/release/proof.json"), encoding="utf-8") as file:
        return [goal for goal in json.load(file) if goal]


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev proof", description="Run the goals of docs/reliability.md.")
    parser.add_argument("goals", nargs="*", metavar="GOAL")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--nightly", action="store_true", help="the long form")
    length.add_argument("--slice", action="store_true", help="a few seconds each")
    parser.add_argument("--list", action="store_true", help="which goals there are")
    parser.add_argument("--no-build", action="store_true", help="run what was built")
    parser.add_argument("--backend", choices=("epoll", "io_uring"), help="that one only")
    options = parser.parse_args()
    begin = time.monotonic()
    if not options.no_build:
        build("release", ["build.ninja"])  # configure again if a CMakeLists.txt changed
    goals = [goal for goal in read_goals() if matches(goal, options.goals) and options.backend in (None, goal["backend"])]
    if options.list:
        print("\n".join(dict.fromkeys(goal["name"] for goal in goals)))
        return 0
    if not goals:
        print(f"proof: no goal is called {' '.join(options.goals)}; --list shows them", file=sys.stderr)
        return 2
    if not options.no_build:
        for preset in dict.fromkeys(preset for goal in goals for preset in goal["presets"]):
            targets = [target for goal in goals if preset in goal["presets"] for target in goal["targets"] if target]
            if targets:
                build(preset, sorted(set(targets)))
    print(f"built in {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    extra = ["--nightly"] if options.nightly else ["--slice"] if options.slice else []
    runs = [Run(goal, preset, ([] if goal["backend"] == "none" else ["--backend", goal["backend"]]) + extra) for goal in goals for preset in goal["presets"]]
    limit = "nightly_timeout" if options.nightly else "timeout"
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(lambda run: run.start(run.goal[limit]), [run for run in runs if not run.goal["alone"] == "TRUE"]))
    for run in runs:
        if run.goal["alone"] == "TRUE":
            run.start(run.goal[limit])
    missed = {run.number for run in runs if not run.holds}
    held = {run.number for run in runs} - missed
    slowest = max(runs, key=lambda run: run.seconds)
    print(f"{len(held)} goals hold, {len(missed)} missed ({time.monotonic() - begin:.0f} s, the slowest {slowest.goal['name']} {slowest.seconds:.0f} s)")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
