#!/usr/bin/env python3
"""The compiler canary: does $CXX make right code of what coroutines do, and is what GCC 12 breaks
still broken exactly as our guide says? A changed compiler is told at once.

Each row of tests/canary/rows.txt is one program, rows.cpp with -DROW_<name>.
usage: canary_test.py [ROW...]
"""
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "canary")
CXX = os.environ.get("CXX", "clang++-19")
OPTIMISATION = [f for f in os.environ.get("ASYNCIO_CXX_FLAGS", "").split() if f.startswith("-O")] or ["-O1"]


def broken_gcc() -> bool:
    """GCC 12.0 to 12.2."""
    macros = subprocess.run([CXX, "-dM", "-E", "-x", "c++", os.devnull], capture_output=True, text=True, check=True).stdout
    values = dict(line.split(None, 2)[1:] for line in macros.splitlines() if len(line.split(None, 2)) == 3)
    return "__clang__" not in values and values.get("__GNUC__") == "12" and int(values["__GNUC_MINOR__"]) < 3


def outcome(row: str, folder: str) -> str:
    program = os.path.join(folder, row)
    command = [CXX, "-std=c++20", *OPTIMISATION, "-w", f"-DROW_{row}", os.path.join(HERE, "rows.cpp"), "-o", program]
    if subprocess.run(command, capture_output=True).returncode != 0:
        return "refused"
    try:
        return "right" if subprocess.run([program], capture_output=True, timeout=20).returncode == 0 else "broken"
    except subprocess.TimeoutExpired:
        return "broken"


def main() -> int:
    with open(os.path.join(HERE, "rows.txt"), encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    if len(sys.argv) > 1:
        rows = [row for row in rows if row[0] in sys.argv[1:]]
    gcc = broken_gcc()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda row: outcome(row[0], folder), rows))
    for (name, on_gcc, *on_clang), result in zip(rows, found):
        expected = on_gcc if gcc else (on_clang or ["right"])[0]
        if result != expected:
            print(f"{name}: {result}, expected {expected} of {CXX} {' '.join(OPTIMISATION)}")
            wrong += 1
    print(f"{len(rows) - wrong} of {len(rows)} rows as expected")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
