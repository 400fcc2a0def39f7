#!/usr/bin/env python3
"""Run the fuzz targets of tests/fuzz/.

usage: fuzz.py [TARGET...] [SECONDS]    fuzz them (all of them), SECONDS each (60)
       fuzz.py --merge [TARGET...]      the committed corpora again, minimal, with what was found since
       fuzz.py --coverage [TARGET...]   the lines that the committed corpora reach, of what each target covers

The inputs that fuzzing keeps are in build/fuzz/corpus/TARGET, those that fail in build/fuzz/found. The
committed ones, in tests/fuzz/corpus/TARGET, are replayed by the ordinary tests. A target says in its
head what it covers: `// covers: stream/buffer.hpp ...`.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SOURCES = os.path.join(ROOT, "tests/fuzz")
BUILD = os.path.join(ROOT, "build/fuzz")
FOUND = os.path.join(BUILD, "found")
MOST_BYTES = 1000  # of one input; longer ones say nothing new
MOST_INPUTS = 60  # committed ones, per target
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}


def targets() -> list[str]:
    names = sorted(name[:-4] for name in os.listdir(SOURCES) if name.endswith(".cpp"))
    return [name for name in names if name not in ("fuzzer", "replay")]


def committed(target: str) -> str:
    return os.path.join(SOURCES, "corpus", target)


def kept(target: str) -> str:
    return os.path.join(BUILD, "corpus", target)


def program(target: str) -> str:
    return os.path.join(BUILD, "tests/fuzz", "fuzz_" + target)


def build(preset: str, names: list[str], jobs: str | None = None) -> None:
    """Quiet, unless it fails."""
    folder = os.path.join(ROOT, "build", preset)
    commands = [["cmake", "--build", folder, "-j", jobs or os.environ.get("JOBS") or str(os.cpu_count()), "--target", *names]]
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        commands.insert(0, ["cmake", "--preset", preset])
    for command in commands:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr)


class Run:
    """One target under libFuzzer for some seconds."""

    def __init__(self, target: str, seconds: int) -> None:
        self.target, self.seconds = target, seconds
        for folder in (kept(target), FOUND, committed(target)):
            os.makedirs(folder, exist_ok=True)
        self.log = tempfile.TemporaryFile("w+", errors="replace")
        command = [program(target), f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=1024", f"-max_len={MOST_BYTES}", "-len_control=20",
                   f"-artifact_prefix={FOUND}/{target}-", "-print_final_stats=1", kept(target), committed(target)]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, env={**SANITIZERS, **os.environ})

    def wait(self) -> bool:
        """True if nothing was found."""
        try:
            self.status = self.process.wait(self.seconds + 120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.status = self.process.wait()
        self.log.seek(0)
        self.text = self.log.read()
        executed = re.search(r"stat::number_of_executed_units: *(\d+)", self.text)
        self.executions = int(executed.group(1)) if executed else 0
        return self.status == 0

    def report(self) -> str:
        """What failed, and how to see it again."""
        lines = [line for line in self.text.split("\n") if not line.startswith(("#", "INFO", "\tNEW", "NEW_FUNC"))]
        text = "\n".join(lines[:60])
        found = re.search(r"Test unit written to (\S+)", self.text)
        if found:
            text += f"\nagain: {os.path.relpath(program(self.target), ROOT)} {os.path.relpath(found.group(1), ROOT)}"
        return text


def fuzz(names: list[str], seconds: int, at_once: int = 1) -> tuple[int, int]:
    """Executions and findings."""
    executions = findings = 0
    waiting = list(names)
    running: list[Run] = []
    while waiting or running:
        while waiting and len(running) < at_once:
            running.append(Run(waiting.pop(0), seconds))
        run = running.pop(0)
        fine = run.wait()
        executions += run.executions
        findings += not fine
        print(f"{run.target}: {run.executions} executions in {seconds} s{'' if fine else ', FAILED'}", flush=True)
        if not fine:
            print(run.report(), flush=True)
    return executions, findings


def merged(target: str, folder: str, *options: str) -> list[str]:
    """What is worth keeping of all inputs there are, in `folder`, the smallest first."""
    sources = [place for place in (committed(target), kept(target)) if os.path.isdir(place)]
    os.makedirs(folder)
    subprocess.run([program(target), f"-max_len={MOST_BYTES}", *options, folder, *sources], check=True, capture_output=True)
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    return sorted(paths, key=lambda path: (os.path.getsize(path), path))


def merge(target: str) -> None:
    """The fewest inputs that reach all lines, and some of those that do what others do more often or otherwise."""
    folder = committed(target)
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        chosen = merged(target, os.path.join(place, "cover"), "-set_cover_merge=1", "-use_counters=0")
        others = merged(target, os.path.join(place, "all"), "-merge=1")
        room = max(MOST_INPUTS - len(chosen), 0)
        chosen += others if len(others) <= room else [others[(i + 1) * len(others) // room - 1] for i in range(room)]
        # What failed once is kept for ever.
        for name in os.listdir(folder):
            if not name.startswith("found_"):
                os.remove(os.path.join(folder, name))
        for path in chosen:
            shutil.copy(path, os.path.join(folder, os.path.basename(path)[:12]))
    size = sum(os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder))
    print(f"{target}: {len(os.listdir(folder))} inputs, {size} bytes")


def covered_files(target: str) -> list[str]:
    with open(os.path.join(SOURCES, target + ".cpp"), encoding="utf-8") as file:
        text = re.search(r"^// covers: ((?:.+\n)(?://     .+\n)*)", file.read(), re.M)
    return [os.path.join(ROOT, "asyncio", name) for name in text.group(1).replace("//", "").split()] if text else []


def coverage(target: str) -> tuple[int, int]:
    """Lines that the committed corpus reaches, and all, of what the target covers."""
    folder = os.path.join(ROOT, "build/coverage")
    replay = os.path.join(folder, "tests/fuzz/fuzz_replay")
    with tempfile.TemporaryDirectory() as place:
        raw, data = os.path.join(place, "raw"), os.path.join(place, "data")
        inputs = [os.path.join(committed(target), name) for name in sorted(os.listdir(committed(target)))]
        subprocess.run([replay, target, *inputs], check=True, capture_output=True, env={**os.environ, "LLVM_PROFILE_FILE": raw})
        subprocess.run(["llvm-profdata-19", "merge", "-sparse", raw, "-o", data], check=True)
        exported = subprocess.run(["llvm-cov-19", "export", replay, "-instr-profile", data, "-summary-only", *covered_files(target)],
                                  check=True, capture_output=True, text=True)
    reached = lines = 0
    for file in json.loads(exported.stdout)["data"][0]["files"]:
        count = file["summary"]["lines"]
        reached += count["covered"]
        lines += count["count"]
    return reached, lines


def all_coverage(names: list[str]) -> float:
    """Prints each; the share of all."""
    build("coverage", ["fuzz_replay"])
    reached = lines = 0
    for name in names:
        one = coverage(name)
        print(f"{name}: {one[0]} of {one[1]} lines, {100 * one[0] / max(one[1], 1):.1f} %", flush=True)
        reached += one[0]
        lines += one[1]
    return 100 * reached / max(lines, 1)


def main(arguments: list[str]) -> int:
    known = targets()
    mode = arguments.pop(0) if arguments and arguments[0].startswith("--") else ""
    seconds = int(arguments.pop()) if arguments and arguments[-1].isdigit() else 60
    names = arguments or known
    strange = [name for name in names if name not in known]
    if strange or mode not in ("", "--merge", "--coverage"):
        print(f"{__doc__}\ntargets: {' '.join(known)}", file=sys.stderr)
        return 2
    if mode == "--coverage":
        print(f"all: {all_coverage(names):.1f} %")
        return 0
    build("fuzz", ["fuzz_" + name for name in names])
    if mode == "--merge":
        for name in names:
            merge(name)
        return 0
    executions, findings = fuzz(names, seconds)
    print(f"{len(names)} targets x {seconds} s: {executions} executions, {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
