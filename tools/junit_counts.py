#!/usr/bin/env python3
"""Print `PASSED FAILED` of a JUnit file that CTest wrote.

A test that could not run (disabled, not found) counts as failed: nothing is skipped in silence.
A test that skipped itself (GTEST_SKIP) counts as passed only if it was run. A missing file is one failure.
"""
import sys
import xml.etree.ElementTree as tree


def main() -> None:
    try:
        suite = tree.parse(sys.argv[1]).getroot()
    except (OSError, tree.ParseError):
        print("0 1")
        return
    passed = failed = 0
    for case in suite.iter("testcase"):
        if case.get("status") == "run" or (case.get("status") == "notrun" and is_own_skip(case)):
            passed += 1
        else:
            failed += 1
    print(passed, failed)


def is_own_skip(case: tree.Element) -> bool:
    skipped = case.find("skipped")
    return skipped is not None and "SKIP" in (skipped.get("message") or "")


if __name__ == "__main__":
    main()
