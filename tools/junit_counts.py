#!/usr/bin/env python3
"""Print `PASSED FAILED SKIPPED` of a JUnit file that CTest wrote.

Skipped is a test that said so itself (GTEST_SKIP). A test that could not run (disabled, not built) counts
as failed, and so does a file that is missing.
"""
import sys
import xml.etree.ElementTree as tree


def main() -> None:
    try:
        suite = tree.parse(sys.argv[1]).getroot()
    except (OSError, tree.ParseError):
        print("0 1 0")
        return
    passed = failed = skipped = 0
    for case in suite.iter("testcase"):
        if case.get("status") == "run":
            passed += 1
        elif case.get("status") == "notrun" and is_own_skip(case):
            skipped += 1
        else:
            failed += 1
    print(passed, failed, skipped)


def is_own_skip(case: tree.Element) -> bool:
    skipped = case.find("skipped")
    return skipped is not None and "SKIP" in (skipped.get("message") or "")


if __name__ == "__main__":
    main()
