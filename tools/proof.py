#!/usr/bin/env python3
"""Run the goals of docs/reliability.md and print one line a figure.

usage: proof.py [GOAL...] [--nightly | --slice] [--list] [--no-build] [--backend epoll|io_uring] [--preset NAME]

A GOAL is its number (G7, g07, 7) or a part of its program's name (stack); without one, all. What there
is stands in tests/proof/CMakeLists.txt, which writes build/release/proof.json. Each goal runs once a
backend and preset, within a time of its own; two at a time, those that measure time or memory alone.
--preset gcc: the goals that are programs, built so, instead of in the presets they ask for.
A run that fails is shown whole, with the command that repeats it. What could not be done on this machine
is shown as skipped, with the reason, and counted in the last line.
Exit: 0 when every goal that ran holds, 1 when not or when none could run, 2 on wrong usage.
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
SKIPPED = "    skipped: "
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
    def title(self) -> str:
        return title(self.goal)

    @property
    def number(self) -> str:
        return self.title.split()[0]

    @property
    def command(self) -> list[str]:
        return [self.goal["command"].replace("/build/release/", f"/build/{self.preset}/"), *self.arguments]

    @property
    def figures(self) -> list[str]:
        return [line for line in self.output if FIGURE.match(line)]

    @property
    def skipped(self) -> list[str]:
        return [line for line in self.output if line.startswith(SKIPPED)]

    @property
    def absent(self) -> bool:
        """Nothing of it could be done here, as it says."""
        return self.status == 77 and bool(self.skipped) and not self.figures

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
        lines = [line for line in self.output if line in self.figures or line in self.skipped] if self.holds or self.absent else self.output[-200:]
        if not self.holds and not self.absent:
            backend = "" if self.goal["backend"] == "none" else f", {self.goal['backend']}"
            if not any(line.endswith("MISSED") for line in lines):
                lines = [*lines, f"{self.title}{backend}: ended with {self.status} MISSED"]
            lines = [*lines, f"    again: {shlex.join(self.command)}"]
        note = "" if self.preset == "release" else f" [{self.preset}]"
        print("\n".join(line + note if FIGURE.match(line) else line for line in lines), flush=True)


def title(goal: dict) -> str:
    letter, digits, name = re.match(r"([gm])0*(\d+)_(.*)", goal["name"]).groups()
    return f"{letter.upper()}{digits} {name.replace('_', ' ')}"


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
    parser.add_argument("--preset", metavar="NAME", help="the goals that are programs, built so: gcc, asan, ...")
    options = parser.parse_args()
    begin = time.monotonic()
    if not options.no_build:
        build("release", ["build.ninja"])  # configure again if a CMakeLists.txt changed
    wanted = [goal for goal in read_goals() if matches(goal, options.goals)]
    absent = [goal for goal in wanted if "absent" in goal]
    goals = [goal for goal in wanted if "absent" not in goal and options.backend in (None, goal["backend"]) and (options.nightly or options.list or goal["nightly"] != "TRUE")]
    if options.preset:
        goals = [goal | {"presets": [options.preset]} for goal in goals if "/build/release/" in goal["command"]]
    if options.list:
        print("\n".join(dict.fromkeys(goal["name"] + (f" (skipped: {goal['absent']})" if "absent" in goal else "") for goal in absent + goals)))
        return 0
    if not goals and not absent:
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
    for goal in absent:
        print(f"{title(goal)}: skipped: {goal['absent']}")
    missed = {run.number for run in runs if not run.holds and not run.absent}
    held = {run.number for run in runs if run.holds} - missed
    skipped = len(absent) + len({(run.title, line) for run in runs for line in run.skipped})
    slowest = max(runs, key=lambda run: run.seconds, default=None)
    seconds = f"{time.monotonic() - begin:.0f} s" + (f", the slowest {slowest.goal['name']} {slowest.seconds:.0f} s" if slowest else "")
    print(f"{len(held)} goals hold, {len(missed)} missed, {skipped} skipped whole or in part ({seconds})")
    return 1 if missed or not held else 0


if __name__ == "__main__":
    sys.exit(main())
