#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""M1: the tests notice it when something breaks.

usage: m01_planted_bugs.py [--slice | --nightly]

Per push a few of the bugs of tests/mutants/ are planted, other ones with each commit; --nightly: all of them.
--slice: they can be planted.
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import mutants  # noqa: E402
import rotation  # noqa: E402

PER_PUSH = 5


def main(arguments: list[str]) -> int:
    names = mutants.all_names()
    if arguments == ["--slice"]:
        status = mutants.check_all(names)
        print(f"M1 planted bugs: {len(names)}, all can be planted" if status == 0 else "M1 planted bugs: some cannot be planted MISSED")
        return status
    if arguments not in ([], ["--nightly"]):
        print(__doc__, file=sys.stderr)
        return 2
    return mutants.main(names if arguments else rotation.rotated(names, PER_PUSH))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
