#!/usr/bin/env python3
"""Which behaviours of docs/behaviours.txt the tests cover.

usage: behaviours.py [--list] [AREA...]

A test covers what its name says: TEST(Area, LOOP_01_callbacks_run_in_order), also several IDs in one
name. `--list` prints the uncovered ones with their text; so does naming an area.
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TEST_NAME = re.compile(r"^[ \t]*[A-Z][A-Z_]*\(\s*\w+\s*,\s*(\w+)", re.M)  # TEST, TEST_F, TEST_P, our own macros
ID = re.compile(r"(?<![A-Z])([A-Z]{2,5})[_-](\d{2})(?!\d)")


def behaviours() -> dict[str, tuple[str, str]]:
    """ID -> (S or L, text)."""
    found = {}
    with open(os.path.join(ROOT, "docs/behaviours.txt"), encoding="utf-8") as file:
        for line in file:
            match = re.match(r"([A-Z]+-\d+) \[([SL])\] (.*)", line)
            if match:
                found[match.group(1)] = (match.group(2), match.group(3))
    return found


def covered() -> dict[str, list[str]]:
    """ID -> the tests that name it."""
    tests: dict[str, list[str]] = {}
    for folder in ("asyncio", "tests"):
        for place, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in names:
                if not name.endswith(("_test.cpp", ".py", ".sh")):
                    continue
                with open(os.path.join(place, name), encoding="utf-8") as file:
                    text = file.read()
                for test in TEST_NAME.findall(text) if name.endswith(".cpp") else re.findall(r"[A-Z]{2,5}-\d{2}", text):
                    for area, number in ID.findall(test):
                        tests.setdefault(f"{area}-{number}", []).append(test)
    return tests


def main() -> int:
    areas = [word.upper() for word in sys.argv[1:] if not word.startswith("-")]
    known, tests = behaviours(), covered()
    table: dict[str, list[int]] = {}
    for name, (level, text) in known.items():
        row = table.setdefault(name.split("-")[0], [0, 0, 0, 0])
        row[0 if level == "S" else 2] += name in tests
        row[1 if level == "S" else 3] += 1
        if name not in tests and ("--list" in sys.argv or name.split("-")[0] in areas):
            print(f"{name} [{level}] {text}")
    print(f"{'area':6} {'everyday':>11} {'low-level':>11}")
    for area, (s, s_all, l, l_all) in table.items():
        if not areas or area in areas:
            print(f"{area:6} {f'{s}/{s_all}':>11} {f'{l}/{l_all}':>11}")
    s, s_all, l, l_all = (sum(column) for column in zip(*table.values()))
    print(f"{'total':6} {f'{s}/{s_all}':>11} {f'{l}/{l_all}':>11}   {s + l} of {s_all + l_all} behaviours")
    unknown = sorted(set(tests) - set(known))
    for name in unknown:
        print(f"no such behaviour: {name} ({', '.join(tests[name])})")
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
