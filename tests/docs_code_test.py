#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does every code block in README.md and docs/ compile?

All blocks that open with ```cpp go into one translation unit, each in a namespace of its own, and are compiled
as a user would (no code is made). Names of the page's own that a block needs come before it in a comment,
which readers do not see:

    <!-- given: Coro<> work(); -->

```cpp body is a piece of a coroutine's body; ```cpp wrong is meant not to be right (docs/mistakes.md, which
quotes messages that tests/wrong_programs and tests/mistakes_test.cpp look for).

usage: docs_code_test.py [--print]      print the translation unit instead
"""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CXX = os.environ.get("CXX", "clang++-19")
# GCC warns of types without linkage in "headers", for which #line makes it take the pages.
FLAGS = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wno-unused", "-Wno-return-type", "-Wno-unknown-warning-option", "-Wno-subobject-linkage", "-Werror", "-DASYNCIO_NO_COMPILER_NOTE", "-I", str(ROOT),
         "-x", "c++", "-"]
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]
PREAMBLE = """#include <asyncio/asyncio.hpp>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>
using namespace std::chrono_literals;
using asyncio::Coro;
"""
BLOCK = re.compile(r"(?:<!-- given:\s*(?P<given>.*?)-->\s*)?^```(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.S | re.M)


def includes() -> str:
    """What the blocks include, which must not be done inside a namespace."""
    found = {line for page in PAGES for match in BLOCK.finditer((ROOT / page).read_text()) if match["info"].startswith("cpp")
             for line in re.findall(r"^#include.*$", match["code"], flags=re.M)}
    return "".join(line + "\n" for line in sorted(found))


def unit(page: str) -> str:
    """The blocks of a page as C++."""
    text, parts = (ROOT / page).read_text(), []
    for number, match in enumerate(BLOCK.finditer(text), 1):
        if match["info"] not in ("cpp", "cpp body"):
            continue
        line = text.count("\n", 0, match.start("code")) + 1
        code = re.sub(r"^#include.*$", "", match["code"], flags=re.M)
        name = re.sub(r"\W", "_", page) + f"_{number}"
        if match["info"] == "cpp body":
            code = f"Coro<> body() {{\n#line {line} \"{page}\"\n{code}co_return; }}\n"
        parts.append(f"namespace {name} {{\n{match['given'] or ''}\n#line {line} \"{page}\"\n{code}}}")
    return "\n".join(parts)


def main() -> int:
    source = includes() + PREAMBLE + "\n".join(unit(page) for page in PAGES)
    if "--print" in sys.argv:
        print(source)
        return 0
    blocks = source.count("#line")
    quoted = [f"{page}: {info}" for page in PAGES for info in re.findall(r"^```(c\+\+|cc|C\+\+|cpp .*)$", (ROOT / page).read_text(), re.M)
              if info not in ("cpp body", "cpp wrong")]
    run = subprocess.run([CXX, *FLAGS], input=source, text=True, capture_output=True, timeout=280)
    print(run.stderr, *quoted, sep="\n")
    print(f"{blocks} blocks of {len(PAGES)} pages")
    return 1 if run.returncode or quoted or not blocks else 0


if __name__ == "__main__":
    sys.exit(main())
