#!/usr/bin/env python3
"""Sizes, names and words of the sources.

usage: tidy.py [ROOT]

- Sizes: header 400 lines, source 600, test 1200, function 60 (tests exempt). What is larger stands in
  tools/ratchet.txt with its size, and may only shrink: edit the line down when it did.
- Names: no file or folder is called util, helper, common, misc, constants, base_x or new.
- Words: no notes for later, no sleeping tests, no heavy standard headers in public headers.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from asyncio_lint import Source  # noqa: E402

HEADER, SOURCE, TEST, FUNCTION = 400, 600, 1200, 60
FOLDERS = ("asyncio", "tests", "examples", "bench")
BAD_NAME = re.compile(r"(?:.*_)?(?:utils?|utilit(?:y|ies)|helpers?|common|misc|miscellaneous|constants?)(?:_.*)?|base_.+|new")
LATER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX)\b")
SLEEP = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\s*\(|std::this_thread::sleep|::sleep\s*\(\s*\d")
HEAVY = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<(iostream|functional|regex|map|future)>", re.M)
TEXT = (".cpp", ".hpp", ".py", ".sh", ".cmake", ".txt", ".md", ".h", ".cc")


def tree_files(root: str) -> list[str]:
    """What git knows or would add; outside of git, everything but build/."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if listed.returncode == 0:
        return sorted(p for p in set(listed.stdout.split("\n")) if p and os.path.isfile(os.path.join(root, p)))
    found = []
    for place, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", ".git", "__pycache__")]
        found += [os.path.relpath(os.path.join(place, name), root) for name in names]
    return sorted(found)


def functions(source: Source) -> list[tuple[str, int, int]]:
    """The outermost functions: name, first line, length with the signature."""
    found, end = [], -1
    for brace in sorted(source.kinds):
        closing = source.partner.get(brace)
        if brace < end or closing is None or source.kinds[brace] not in ("function", "lambda"):
            continue
        end, start = closing, head_start(source, brace)
        first, last = source.line(start), source.line(closing)
        found.append((name_of(source, start, brace), first, last - first + 1))
    return found


def head_start(source: Source, brace: int) -> int:
    at = brace - 1
    while at >= 0 and source.word(at) not in (";", "{", "}"):
        at = source.partner[at] - 1 if source.word(at) in (")", "]") and at in source.partner else at - 1
        if source.word(at) == "}" and source.kinds.get(source.partner.get(at, -1)) == "init":
            at = source.partner[at] - 1  # `: member_{value}` belongs to the head
    at += 1
    while source.word(at) in ("public", "private", "protected") and source.word(at + 1) == ":":
        at += 2
    return at


def name_of(source: Source, start: int, brace: int) -> str:
    head = source.words(start, brace)
    match = re.search(r"([A-Za-z_]\w*)\s*=\s*\[", head) or re.search(r"(~?[A-Za-z_]\w*(?:::~?\w+)*|operator\s*\S+?)\s*\(", head)
    return match.group(1).replace(" ", "") if match else "lambda"


class Tidy:
    def __init__(self, root: str) -> None:
        self.root, self.faults = root, []
        self.ratchet = self._read_ratchet()
        self.used: set[str] = set()

    def _read_ratchet(self) -> dict[str, int]:
        """The file: `PATH LINES` or `PATH:FUNCTION LINES`, with a reason after #."""
        ratchet = {}
        with open(os.path.join(self.root, "tools/ratchet.txt"), encoding="utf-8") as file:
            for line in file:
                words = line.split("#")[0].split()
                if words:
                    ratchet[words[0]] = int(words[1])
        return ratchet

    def size(self, key: str, line: int, size: int, limit: int) -> None:
        if size <= limit:
            return
        self.used.add(key)
        path, _, name = key.partition(":")
        name = name or os.path.basename(path)
        if key not in self.ratchet:
            self.faults.append(f"{path}:{line}: {name} has {size} lines, the limit is {limit}: split it by concept")
        elif size > self.ratchet[key]:
            self.faults.append(f"{path}:{line}: {name} grew from {self.ratchet[key]} to {size} lines: it may only shrink")
        elif size < self.ratchet[key]:
            self.faults.append(f"tools/ratchet.txt: {key} shrank to {size}: write that down")

    def names(self, path: str) -> None:
        for part in path.split("/"):
            if BAD_NAME.fullmatch(part.split(".")[0].lower()):
                self.faults.append(f"{path}:1: '{part}' says nothing: name the noun, or move the lines to their caller")

    def cpp(self, path: str, text: str) -> None:
        is_test = path.endswith(("_test.cpp", "_test.hpp", "_bench.cpp")) or path.startswith("tests/")
        limit = TEST if is_test else HEADER if path.endswith((".hpp", ".h")) else SOURCE
        self.size(path, 1, text.count("\n"), limit)
        source = Source(path, text)
        if not is_test:
            for name, line, length in functions(source):
                self.size(f"{path}:{name}", line, length, FUNCTION)
        raw = text.split("\n")
        for number, line in enumerate(source.text.split("\n"), 1):
            above = raw[number - 2] if number > 1 else ""
            if path.endswith(("_test.cpp", "_test.hpp")) and SLEEP.search(line) and not any(re.search(r"// deadline: \S", near) for near in (raw[number - 1], above)):
                self.faults.append(f"{path}:{number}: a test that sleeps: make time an argument, or say `// deadline: why`")
        if path.startswith("asyncio/") and path.endswith(".hpp") and not is_test and not path.startswith("asyncio/testing/"):
            for match in HEAVY.finditer(text):
                self.faults.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: <{match.group(1)}> is too heavy for a public header")

    def check(self) -> int:
        files = tree_files(self.root)
        for path in files:
            self.names(path)
            if not path.endswith(TEXT) and path != "dev":
                continue
            with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
                text = file.read()
            for number, line in enumerate(text.split("\n"), 1):
                if LATER.search(line):
                    self.faults.append(f"{path}:{number}: a note for later: do it, or open a ticket")
            if path.startswith(FOLDERS) and path.endswith((".cpp", ".hpp", ".h", ".cc")):
                self.cpp(path, text)
        self.faults += [f"tools/ratchet.txt: {key} is within its limit now: remove the line" for key in sorted(set(self.ratchet) - self.used)]
        print("\n".join(self.faults) if self.faults else f"{len(files)} files")
        return 1 if self.faults else 0


if __name__ == "__main__":
    sys.exit(Tidy(sys.argv[1] if len(sys.argv) > 1 else ".").check())
