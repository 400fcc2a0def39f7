#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The table in examples/README.md: every example, what it shows, and its length beside its Python original's.

usage: examples_table.py            write the table
       examples_table.py --check    say what is wrong with the table or an example
       examples_table.py --list     for `./dev example`

A line counts if it is neither blank nor only a comment (or, in Python, a docstring). An example has at most 120
lines in all, opens with what it shows and how to run it, and is at most half as long again as its original.
"""
import re
import signal
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "examples"
README = FOLDER / "README.md"
BEGIN, END = "<!-- table: written by tools/examples_table.py -->", "<!-- end of the table -->"
LONGEST, MOST = 120, 1.5
WITHOUT_ORIGINAL = {"simulated_network", "power_cuts"}  # nothing in Python's library comes near


class Example:
    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.stem
        number, _, self.title = self.name.partition("_")
        self.number = int(number) if number.isdigit() else 0
        self.python = FOLDER / "python" / f"{self.name}.py"
        self.text = path.read_text()
        self.head = []
        for line in self.text.splitlines():
            if not line.startswith("//"):
                break
            self.head.append(line[3:])

    @property
    def prints(self) -> list[str]:
        """The lines it says it prints."""
        if "prints:" not in self.head:
            return []
        return [line[4:] for line in self.head[self.head.index("prints:") + 1:]]

    @property
    def shows(self) -> str:
        """The first sentence of its head."""
        text = " ".join(line for line in self.head[2:]).split("     ")[0]
        return re.split(r"(?<=[.:;])\s", text + " ")[0].rstrip(".:; ")

    def counts(self) -> tuple[int, int]:
        return cpp_lines(self.text), python_lines(self.python.read_text()) if self.python.exists() else 0

    def faults(self) -> list[str]:
        ours, original = self.counts()
        found = []
        if self.text.count("\n") > LONGEST:
            found.append(f"has {self.text.count(chr(10))} lines, the limit is {LONGEST}")
        if not any(f"./dev example {self.number}" in line for line in self.head):
            found.append(f"does not say how to run it: ./dev example {self.number}")
        if original == 0:
            found += ["has no Python original"] if self.title not in WITHOUT_ORIGINAL else []
        elif ours > MOST * original:
            found.append(f"has {ours} lines, its Python original {original}: improve the library")
        return [f"{self.name}: {fault}" for fault in found]


def cpp_lines(text: str) -> int:
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("//"))


def python_lines(text: str) -> int:
    text = re.sub(r'^\s*""".*?"""$', "", text, flags=re.M | re.S)
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("#"))


def examples() -> list[Example]:
    return [Example(path) for path in sorted(FOLDER.glob("[0-9][0-9]_*.cpp"))]


def table() -> str:
    rows = ["| | program | shows | C++ | Python | ratio |", "|--:|---|---|--:|--:|--:|"]
    for example in examples():
        ours, original = example.counts()
        beside = f"[{original}](python/{example.python.name}) | {ours / original:.2f} |" if original else "- | |"
        rows.append(f"| {example.number} | [{example.title}]({example.path.name}) | {example.shows} | {ours} | {beside}")
    both = [counts for example in examples() if (counts := example.counts())[1]]
    ours, originals = sum(c for c, _ in both), sum(p for _, p in both)
    rows.append(f"| | **{len(both)} programs in both** | | {ours} | {originals} | {ours / max(originals, 1):.2f} |")
    return "\n".join(rows)


def table_faults() -> list[str]:
    faults = [fault for example in examples() for fault in example.faults()]
    numbers = [example.number for example in examples()]
    faults += [f"two examples have the number {n}" for n in sorted(set(numbers)) if numbers.count(n) > 1]
    if table() not in README.read_text():
        faults.append("examples/README.md: the table is old: run tools/examples_table.py")
    return faults


def main() -> int:
    if "--list" in sys.argv:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # for `| head`
        for example in examples():
            print(f"{example.number:4}  {example.title:20} {example.shows}")
        return 0
    if "--check" in sys.argv:
        faults = table_faults()
        print("\n".join(faults))
        return 1 if faults else 0
    text = README.read_text()
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    README.write_text(f"{text[:start]}\n\n{table()}\n\n{text[end:]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
