#!/usr/bin/env python3
"""Plant known bugs, one at a time, and see which check catches each.

usage: mutants.py [NAME...]    plant them (all of them): `caught by CHECK` or `SURVIVED`
       mutants.py --check      that each can still be planted; nothing is built
       mutants.py --list       what there is

A mutant is a file tests/mutants/NN_name.mutant:

    row: A1                                   the row of the catalogue (docs/reliability.md)
    bug: an accepted descriptor is not closed when the cancel lost
    check: asyncio_kernel_tests io_uring Kernel.K3_*      PROGRAM BACKEND (or -) PATTERN; more than one may be named
    check: fuzz_replay reader                             a fuzz target's committed inputs
    check: g06_models a_post_is_cancelled                 a model of tests/model/
    file: asyncio/kernel/io_uring_completion.cpp
    old: |
        if (result >= 0) ::close(result);
    new: |
        (void)result;

`old` has to occur exactly once, so a mutant whose code has changed says so and is written anew. They are
planted in a copy of the sources in build/mutants, which keeps its build: a mutant costs the files that it
changes, and the programs that it names.
"""
import filecmp
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDER = os.path.join(ROOT, "tests/mutants")
TREE = os.path.join(ROOT, "build/mutants")  # a copy of ROOT
BUILD = os.path.join(TREE, "build/dev")  # as in ROOT, so that ccache knows the files that are the same
LIMIT = 95.0  # percent
TIMEOUT = 120  # seconds, of one check without a bug


@dataclass
class Mutant:
    name: str
    row: str = ""
    bug: str = ""
    checks: list[list[str]] = field(default_factory=list)
    file: str = ""
    edits: list[tuple[str, str]] = field(default_factory=list)

    def planted(self, text: str) -> str:
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.name}: its old text occurs {text.count(old)} times in {self.file}: write it anew\n{old}")
            text = text.replace(old, new)
        return text


def read(name: str) -> Mutant:
    mutant, key, blocks = Mutant(name), "", {"old": "", "new": ""}

    def flush() -> None:
        if blocks["old"]:
            mutant.edits.append((blocks["old"], blocks["new"]))
        blocks.update(old="", new="")

    with open(os.path.join(FOLDER, name + ".mutant"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("    "):
                blocks[key] += line[4:]
                continue
            if not line.strip():
                if key in blocks and blocks[key]:
                    blocks[key] += "\n"
                continue
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "old":
                flush()
            elif key == "check":
                mutant.checks.append(value.split())
            elif key in ("row", "bug", "file"):
                setattr(mutant, key, value)
            elif key != "new":
                raise ValueError(f"{name}: what is '{key}'?")
    flush()
    if not (mutant.row and mutant.bug and mutant.checks and mutant.file and mutant.edits):
        raise ValueError(f"{name}: needs row, bug, check, file, old and new")
    return mutant


def all_names() -> list[str]:
    return sorted(name.removesuffix(".mutant") for name in os.listdir(FOLDER) if name.endswith(".mutant"))


def source(mutant: Mutant, root: str) -> str:
    with open(os.path.join(root, mutant.file), encoding="utf-8") as file:
        return file.read()


def check_all(names: list[str]) -> int:
    faults = 0
    for name in names:
        try:
            mutant = read(name)
            mutant.planted(source(mutant, ROOT))
        except (ValueError, OSError) as error:
            print(error)
            faults += 1
    print(f"{len(names)} mutants, {faults} cannot be planted")
    return 1 if faults else 0


def synchronise() -> None:
    """The copy is as ROOT is; files that are the same keep their times."""
    try:
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        sys.exit("mutants: git says which files to copy: install it, and run this in a checkout of the repository")
    wanted = {path for path in listed.stdout.split("\n") if path and os.path.isfile(os.path.join(ROOT, path))}
    for path in wanted:
        there = os.path.join(TREE, path)
        if not os.path.exists(there) or not filecmp.cmp(os.path.join(ROOT, path), there, shallow=False):
            os.makedirs(os.path.dirname(there), exist_ok=True)
            shutil.copy(os.path.join(ROOT, path), there)
    for place, folders, files in os.walk(TREE):
        folders[:] = [folder for folder in folders if folder != "build"]
        for file in files:
            if os.path.relpath(os.path.join(place, file), TREE) not in wanted:
                os.remove(os.path.join(place, file))


def build(targets: list[str]) -> None:
    jobs = os.environ.get("JOBS", str(os.cpu_count() or 1))
    commands = [["cmake", "--build", BUILD, "-j", jobs, "--target", *targets]]
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        commands.insert(0, ["cmake", "--preset", "dev", "-DASYNCIO_BUILD_EXAMPLES=OFF", "-DASYNCIO_BUILD_BENCH=OFF"])
    for command in commands:
        done = subprocess.run(command, cwd=TREE, capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise ValueError(f"it does not build\n{done.stdout[-4000:]}{done.stderr[-4000:]}")


def command_of(check: list[str]) -> tuple[list[str], dict[str, str]]:
    program = check[0]
    if program == "fuzz_replay":
        folder = os.path.join(TREE, "tests/fuzz/corpus", check[1])
        inputs = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        return [os.path.join(BUILD, "tests/fuzz/fuzz_replay"), check[1], *inputs], {}
    if program == "g06_models":
        return [os.path.join(BUILD, "tests/model/g06_models"), "--only", check[1]], {}
    environment = {} if check[1] == "-" else {"ASYNCIO_BACKEND": check[1]}
    return [os.path.join(BUILD, program), "--gtest_fail_fast", "--gtest_filter=" + ":".join(check[2:])], environment


def fails(check: list[str], timeout: float = TIMEOUT) -> str:
    """How, or nothing."""
    command, environment = command_of(check)
    environment = {**os.environ, **environment, "ASYNCIO_TEST_SCALE": os.environ.get("ASYNCIO_TEST_SCALE", "0.02")}
    process = subprocess.Popen(command, cwd=TREE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
                               errors="replace", env=environment, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "it hangs"
    if check[0] == "g06_models" and " 1 models, " not in output:
        raise ValueError(f"no model is called {check[1]}")
    if check[0] not in ("fuzz_replay", "g06_models") and "[==========] Running 0 tests" in output:
        raise ValueError(f"no test is called {' '.join(check[2:])}")
    if process.returncode == 0:
        return ""
    failed = re.findall(r"^\[  FAILED  \] ([\w./]+)", output, re.M) or re.findall(r"^    \w+: (\w[^(]*) \(run", output, re.M)
    return failed[-1] if failed else f"it ends with {process.returncode}"


def caught_by(mutant: Mutant) -> tuple[list[str], str] | None:
    """The first check that finds it, and how; later ones are not even built."""
    for check in mutant.checks:
        build([check[0]])
        # A bug that hangs is caught, too, and need not cost two minutes.
        how = fails(check, 20 + 5 * healthy.get(tuple(check), TIMEOUT / 5))
        if how:
            return check, how
    return None


def plant(mutant: Mutant) -> tuple[list[str], str] | None:
    path = os.path.join(TREE, mutant.file)
    good = source(mutant, TREE)
    with open(path, "w", encoding="utf-8") as file:
        file.write(mutant.planted(good))
    try:
        return caught_by(mutant)
    finally:
        with open(path, "w", encoding="utf-8") as file:
            file.write(good)


healthy: dict[tuple[str, ...], float] = {}  # how long each check takes, in seconds


def require_healthy(check: list[str]) -> None:
    """A check that fails without any bug catches none."""
    if tuple(check) in healthy:
        return
    build([check[0]])
    begin = time.monotonic()
    how = fails(check)
    if how:
        raise ValueError(f"{' '.join(check)} fails without any bug: {how}")
    healthy[tuple(check)] = time.monotonic() - begin


def run(names: list[str]) -> int:
    os.makedirs(TREE, exist_ok=True)
    synchronise()
    caught = 0
    for mutant in map(read, names):
        begin = time.monotonic()
        result = "SURVIVED"
        try:
            require_healthy(mutant.checks[0])
            found = plant(mutant)
            if found:
                require_healthy(found[0])
                result = f"caught by {' '.join(found[0][:2])}: {found[1]}"
                caught += 1
        except ValueError as error:
            result = f"FAILED: {error}"
        print(f"{mutant.name} ({mutant.row}): {result} ({time.monotonic() - begin:.0f} s)", flush=True)
    holds = 100 * caught >= LIMIT * len(names)
    print(f"M1 planted bugs: {caught}/{len(names)} caught (limit {LIMIT:.0f} %){'' if holds else ' MISSED'}")
    return 0 if holds else 1


def main(arguments: list[str]) -> int:
    mode = arguments.pop(0) if arguments and arguments[0].startswith("--") else ""
    names = [name for name in all_names() if not arguments or any(word in name for word in arguments)]
    if mode == "--check":
        return check_all(names)
    if mode == "--list":
        for mutant in map(read, names):
            print(f"{mutant.name} ({mutant.row}): {mutant.bug}")
        return 0
    if mode or not names:
        print(__doc__, file=sys.stderr)
        return 2
    return run(names)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
