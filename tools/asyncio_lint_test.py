#!/usr/bin/env python3
"""asyncio-lint finds every planted case of asyncio_lint_cases.cpp, by its rule, and nothing else."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import asyncio_lint  # noqa: E402


def main() -> int:
    cases = os.path.join(HERE, "asyncio_lint_cases.cpp")
    with open(cases, encoding="utf-8") as file:
        lines = file.read().split("\n")
    expected = {(n, m.group(1)) for n, line in enumerate(lines, 1) if (m := re.search(r"// expect: ([\w-]+)", line))}
    found = {(finding.line, finding.rule) for finding in asyncio_lint.lint([cases])}
    for line, rule in sorted(expected - found):
        print(f"{cases}:{line}: not found: {rule}: {lines[line - 1].strip()}")
    for line, rule in sorted(found - expected):
        print(f"{cases}:{line}: found by mistake: {rule}: {lines[line - 1].strip()}")
    never = set(asyncio_lint.RULES) - {rule for _, rule in expected}
    for rule in sorted(never):
        print(f"no planted case for {rule}")
    print(f"{len(expected & found)} of {len(expected)} planted cases found, {len(found - expected)} false")
    return 0 if found == expected and not never else 1


if __name__ == "__main__":
    sys.exit(main())
