#!/usr/bin/env python3
"""M2: does every row of docs/failures.txt have a test or goal that holds it?

usage: catalogue.py [--list | --slice | --nightly]

A row is held by a test whose name has its number, or a comment of a test that does; by a planted bug of
tests/mutants; by what the row itself names, which must exist. --list prints what holds each.
"""
import fnmatch
import os
import re
import sys
from collections import defaultdict

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEST = re.compile(r"\b(?:ASYNC_|TYPED_)?TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)")
COMMENT = re.compile(r"(?://|#|\"\"\"|^ ?\*)(.*)")
NUMBER = re.compile(r"\b([A-EFHLPQSW][1-9]\d?)\b")
SOURCES = (".cpp", ".hpp", ".py", ".mutant")


def read(path: str) -> str:
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def sources() -> list[str]:
    found = []
    for top in ("asyncio", "tests"):
        for place, _, names in os.walk(os.path.join(ROOT, top)):
            found += [os.path.relpath(os.path.join(place, name), ROOT) for name in names if name.endswith(SOURCES)]
    return sorted(path for path in found if path.startswith("tests/") or path.endswith(("_test.cpp", "_test.hpp")))


def rows() -> dict[str, tuple[str, str]]:
    found = {}
    for line in read("docs/failures.txt").split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        numbers, text, held = (part.strip() for part in line.split("|"))
        letter, first, last = re.fullmatch(r"([A-Z])(\d+)(?:-[A-Z](\d+))?", numbers).groups()
        for number in range(int(first), int(last or first) + 1):
            found[f"{letter}{number}"] = (text, held)
    return found


class Evidence:
    def __init__(self) -> None:
        self.by_number: dict[str, set[str]] = defaultdict(set)
        self.names = {"mutant"}
        for path in sources():
            text = read(path)
            if path.endswith(".mutant"):
                self._mutant(path, text)
                continue
            for suite, test in TEST.findall(text):
                self.names.add(f"{suite}.{test}")
                for word in test.split("_"):
                    self._add(word, f"{suite}.{test}")
            for line in text.split("\n"):
                comment = COMMENT.search(line)
                for number in NUMBER.findall(comment[1]) if comment else ():
                    self._add(number, path)
            self.names.add(os.path.splitext(os.path.basename(path))[0])
        self.names.update(name[:-3] for name in os.listdir(os.path.join(ROOT, "tools")) if name.endswith(".py"))

    def _add(self, number: str, source: str) -> None:
        if NUMBER.fullmatch(number):
            self.by_number[number].add(source)

    def _mutant(self, path: str, text: str) -> None:
        row = re.search(r"^row: *(\w+)", text, re.M)
        if row and re.search(r"^check: *\S", text, re.M):
            self._add(row[1], path)

    def named(self, held: str) -> tuple[set[str], list[str]]:
        """What a row names: those that exist, and those that do not."""
        there, missing = set(), []
        for word in re.split(r",\s*", held):
            word = re.sub(r"^(?:script|tool|.*variants:) ", "", word.strip())
            if not word or word == "mutant":
                continue
            matching = fnmatch.filter(self.names, word)
            if matching:
                there.add(word)
            else:
                missing.append(word)
        return there, missing


def main() -> int:
    if set(sys.argv[1:]) - {"--list", "--slice", "--nightly"}:
        print(__doc__, file=sys.stderr)
        return 2
    evidence, all_rows = Evidence(), rows()
    held = later = 0
    faults = []
    for number, (text, names) in all_rows.items():
        if names.startswith("not yet"):
            later += 1
            continue
        named, missing = evidence.named(names)
        faults += [f"{number} names {name}, which does not exist" for name in missing]
        holders = named | evidence.by_number[number]
        if holders:
            held += 1
        else:
            faults.append(f"{number} ({text}) is held by nothing")
        if "--list" in sys.argv:
            print(f"{number}: {text}\n    " + "\n    ".join(sorted(holders)))
    for fault in faults:
        print(f"    {fault}")
    missed = " MISSED" if faults else ""
    print(f"M2 catalogue: {held}/{len(all_rows) - later} rows held by a test or goal, {later} of rooms that are to come (limit all){missed}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
