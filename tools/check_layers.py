#!/usr/bin/env python3
"""Hold the tree to LAYERS: who may include whom.

usage: check_layers.py [ROOT]

- A room includes itself and the rooms its line names, which all stand above it in the file. Its tests
  and benchmarks may include `testing` as well.
- `detail/` is spelled by its own room only. The umbrella asyncio/asyncio.hpp is for users, tests, examples.
- Every include of ours is spelled <asyncio/ROOM/NAME.hpp> and exists. No circle among files.
- Platform #ifs and system headers: in os and kernel, and in .cpp files; never in another public header.
"""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from asyncio_lint import blank_out  # noqa: E402

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)
PLATFORM_IF = re.compile(r"^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b.*\b(__linux__|__linux|__APPLE__|_WIN32|__FreeBSD__|__unix__)\b", re.M)
# <bits/chrono.h> and <bits/std_mutex.h> are libstdc++'s light halves of <chrono> and <mutex>: base/time.hpp and
# base/mutex.hpp take them where they are there.
SYSTEM = re.compile(
    r"(?:sys|linux|netinet|arpa|net|asm)/.*|bits/(?!(?:chrono|std_mutex)\.h).*|(?:liburing|unistd|fcntl|poll|netdb|pthread|signal|termios|spawn|ifaddrs|sched|dlfcn|pwd|grp|syslog)\.h|liburing/.*"
)
SYSTEM_ROOMS = ("os", "kernel")
UMBRELLA = "asyncio/asyncio.hpp"


class Tree:
    def __init__(self, root: str) -> None:
        self.root = root
        self.faults: list[str] = []
        self.allowed = self._read_layers()
        self.files = {path: self._read(path) for folder in ("asyncio", "tests", "examples", "bench") for path in self._walk(folder)}
        self.edges: dict[str, list[str]] = {path: [] for path in self.files}

    def fault(self, path: str, line: int, text: str) -> None:
        self.faults.append(f"{path}:{line}: {text}")

    def _read_layers(self) -> dict[str, set[str]]:
        allowed: dict[str, set[str]] = {}
        for number, line in enumerate(self._read("LAYERS").split("\n"), 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            room, _, names = line.partition(":")
            for name in names.split():
                if name not in allowed:
                    self.fault("LAYERS", number, f"{room} names {name}, which does not stand above it")
            if room in allowed:
                self.fault("LAYERS", number, f"{room} has two lines")
            allowed[room] = set(names.split()) | {room}
        return allowed

    def _read(self, path: str) -> str:
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as file:
            return file.read()

    def _walk(self, folder: str) -> list[str]:
        found = []
        for place, _, names in os.walk(os.path.join(self.root, folder)):
            found += [os.path.relpath(os.path.join(place, n), self.root) for n in names if n.endswith((".hpp", ".cpp", ".h", ".cc"))]
        return sorted(found)

    def check(self) -> None:
        for path, text in self.files.items():
            code = self._without_comments(text)
            room = self._room(path)
            for match in INCLUDE.finditer(code):
                self._include(path, room, code.count("\n", 0, match.start()) + 1, match.group(1), match.group(2))
            if self._is_public(path, room):
                for match in PLATFORM_IF.finditer(code):
                    self.fault(path, code.count("\n", 0, match.start()) + 1, f"#if on {match.group(1)} in a public header outside os and kernel")
        self._circles()

    @staticmethod
    def _without_comments(text: str) -> str:
        """Comments blank, but the names in quotes of #include as they are."""
        blank = blank_out(text).split("\n")
        for index, line in enumerate(text.split("\n")):
            if re.match(r"\s*#\s*include", blank[index]):
                blank[index] = line
        return "\n".join(blank)

    def _room(self, path: str) -> str:
        parts = path.split("/")
        if parts[0] != "asyncio" or path == UMBRELLA:
            return ""
        if len(parts) == 2:
            self.fault(path, 1, "a file of the library lives in a room; only asyncio.hpp stands here")
            return ""
        if parts[1] not in self.allowed:
            self.fault(path, 1, f"the room {parts[1]} has no line in LAYERS")
        return parts[1]

    @staticmethod
    def _is_public(path: str, room: str) -> bool:
        return path.startswith("asyncio/") and path.endswith(".hpp") and not path.endswith("_test.hpp") and room not in SYSTEM_ROOMS

    def _include(self, path: str, room: str, line: int, quote: str, name: str) -> None:
        if not name.startswith("asyncio/"):
            ours = path.startswith("asyncio/")
            if quote == '"' and ours:
                self.fault(path, line, f'write <asyncio/ROOM/NAME.hpp>, not "{name}"')
            if self._is_public(path, room) and SYSTEM.fullmatch(name):
                self.fault(path, line, f"<{name}> in a public header outside os and kernel")
            if re.match(r"g(test|mock)/", name) and ours and not path.endswith(("_test.cpp", "_test.hpp")) and "/testing/gtest" not in path:
                self.fault(path, line, f"<{name}> outside tests and asyncio/testing/gtest*")
            return
        if quote == '"':
            self.fault(path, line, f"write <{name}> with angle brackets")
        if not os.path.exists(os.path.join(self.root, name)):
            self.fault(path, line, f"<{name}> does not exist")
        if path in self.edges and name in self.edges:
            self.edges[path].append(name)
        is_test = bool(re.search(r"_(?:test|bench)\.(?:cpp|hpp)$", path))
        target = name.split("/")[1]
        if "/detail/" in name and target != room:
            self.fault(path, line, f"<{name}> belongs to the room {target} alone")
        if not room:
            return
        if name == UMBRELLA:
            self.fault(path, line, "no room includes the umbrella")
        elif target not in self.allowed.get(room, set()) | ({"testing"} if is_test else set()):
            self.fault(path, line, f"{room} may not include {target} (LAYERS)")

    def _circles(self) -> None:
        state: dict[str, int] = {}

        def visit(path: str, trail: list[str]) -> None:
            state[path] = 1
            for target in self.edges[path]:
                if state.get(target) == 1:
                    circle = [*trail, path][[*trail, path].index(target) :]
                    self.fault(path, 1, "circle: " + " -> ".join([*circle, target]))
                elif target not in state:
                    visit(target, [*trail, path])
            state[path] = 2

        for path in self.edges:
            if path not in state:
                visit(path, [])


def main() -> int:
    tree = Tree(sys.argv[1] if len(sys.argv) > 1 else ".")
    tree.check()
    print("\n".join(tree.faults) if tree.faults else f"{len(tree.files)} files in {len(tree.allowed)} rooms")
    return 1 if tree.faults else 0


if __name__ == "__main__":
    sys.exit(main())
