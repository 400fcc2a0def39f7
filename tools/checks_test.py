#!/usr/bin/env python3
"""The checks find what they should: a small tree that passes, then one planted fault at a time."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

GOOD = {
    "LAYERS": "base:\nos: base\nloop: base os\ntesting: base os loop\n",
    "tools/ratchet.txt": "",
    "tools/header_weight.txt": "default 30000\n",
    "asyncio/asyncio.hpp": "#pragma once\n#include <asyncio/loop/loop.hpp>\n",
    "asyncio/base/error.hpp": "#pragma once\nstruct Error {};\n",
    "asyncio/os/fd.hpp": "#pragma once\n#include <sys/types.h>\n#include <asyncio/base/error.hpp>\n",
    "asyncio/loop/loop.hpp": "#pragma once\n#include <asyncio/os/fd.hpp>\nstruct Loop { explicit Loop(int x) : x_{x} {} int x_; };\n",
    "asyncio/loop/loop.cpp": "#include <sys/epoll.h>\n#include <asyncio/loop/loop.hpp>\nint f() { return 1; }\n",
    "asyncio/loop/loop_test.cpp": "#include <asyncio/testing/clock.hpp>\n#include <gtest/gtest.h>\n",
    "asyncio/testing/clock.hpp": "#pragma once\n#include <iostream>\n",
    "examples/hello.cpp": "#include <asyncio/asyncio.hpp>\n#include <map>\nint main() {}\n",
}
LONG = "    g();\n" * 61
# check, file, its text, what the check must say
PLANTED = [
    ("check_layers", "LAYERS", "base: os\nos: base\nloop: base os\ntesting: base os loop\n", "does not stand above"),
    ("check_layers", "asyncio/base/error.hpp", "#include <asyncio/os/fd.hpp>\n", "base may not include os"),
    ("check_layers", "asyncio/os/x.hpp", "#include <asyncio/testing/clock.hpp>\n", "os may not include testing"),
    ("check_layers", "asyncio/loop/y.hpp", '#include "loop.hpp"\n', "write <asyncio/ROOM"),
    ("check_layers", "asyncio/loop/y.hpp", "#include <asyncio/os/none.hpp>\n", "does not exist"),
    ("check_layers", "asyncio/loop/y.hpp", "#include <asyncio/asyncio.hpp>\n", "umbrella"),
    ("check_layers", "asyncio/loop/y.hpp", "#include <sys/epoll.h>\n", "outside os and kernel"),
    ("check_layers", "asyncio/loop/y.hpp", "#if defined(__linux__)\n#endif\n", "#if on __linux__"),
    ("check_layers", "asyncio/loop/y.hpp", "#include <gtest/gtest.h>\n", "outside tests"),
    ("check_layers", "asyncio/cellar/y.hpp", "\n", "no line in LAYERS"),
    ("check_layers", "asyncio/y.hpp", "\n", "lives in a room"),
    ("check_layers", "asyncio/base/error.hpp", "#include <asyncio/base/error.hpp>\n", "circle"),
    ("check_layers", "examples/hello.cpp", "#include <asyncio/os/detail/x.hpp>\n", "room os alone"),
    ("check_headers", "asyncio/loop/y.hpp", "#pragma once\ninline std::size_t y;\n", "does not compile alone"),
    ("check_headers", "asyncio/loop/y.hpp", "inline int y;\n", "does not compile alone"),
    ("check_headers", "tools/header_weight.txt", "default 5000\n", "asyncio/testing/clock.hpp: "),
    ("check_headers", "tools/header_weight.txt", "default 25000\nasyncio/testing/ 5000\n", "the limit is 5000"),
    ("check_headers", "tools/header_weight.txt", "default 30000\ntree asyncio/testing/clock.hpp 50\n", "kB, the limit is 50"),
    ("tidy", "asyncio/loop/long.hpp", "// x\n" * 401, "401 lines, the limit is 400"),
    ("tidy", "asyncio/loop/long.cpp", "// x\n" * 601, "601 lines, the limit is 600"),
    ("tidy", "asyncio/loop/long_test.cpp", "// x\n" * 1201, "1201 lines, the limit is 1200"),
    ("tidy", "asyncio/loop/fn.cpp", "int a() { return 1; }\nvoid Loop::fn(int x) const noexcept {\n" + LONG + "}\n", "Loop::fn has 63 lines"),
    ("tidy", "asyncio/loop/fn.cpp", "Loop::Loop(int x)\n    : a_{x}, b_(x) {\n" + LONG + "}\n", "Loop::Loop has 64 lines"),
    ("tidy", "asyncio/loop/fn.hpp", "class A {\n  public:\n    auto run() -> Coro<int> {\n" + LONG + "}\n};\n", "run has 63 lines"),
    ("tidy", "asyncio/loop/fn.hpp", "namespace a {\nauto fn = [](int x) {\n" + LONG + "};\n}\n", "fn has 63 lines"),
    ("tidy", "asyncio/loop/fn.cpp", "#if A\nvoid f() {\n#else\nvoid f(int) {\n#endif\n" + LONG + "}\n", "f has 66 lines"),
    ("tidy", "tools/ratchet.txt", "asyncio/loop/loop.cpp 700\n", "remove the line"),
    ("tidy", "asyncio/loop/loop_utils.hpp", "\n", "says nothing"),
    ("tidy", "asyncio/common/x.hpp", "\n", "says nothing"),
    ("tidy", "asyncio/loop/base_loop.hpp", "\n", "says nothing"),
    ("tidy", "asyncio/loop/x.cpp", "// TO" "DO later\n", "a note for later"),
    ("tidy", "asyncio/loop/x_test.cpp", "void f() { std::this_thread::sleep_for(1s); }\n", "a test that sleeps"),
    ("tidy", "asyncio/loop/x_test.cpp", "void f() { usleep(1); }  // deadline:\n", "a test that sleeps"),
    ("tidy", "asyncio/loop/x.hpp", "#include <functional>\n", "too heavy"),
    ("asyncio_lint", "examples/x.cpp", "Coro<> f(C& c) { while (co_await c.n()) c.h(); }\n", "await-in-condition"),
    ("asyncio_lint", "docs/x.md", "text\n```cpp\nCoro<> f(C& c) { while (co_await c.n()) c.h(); }\n```\n", "x.md:3: await-in-condition"),
]
ALLOWED = [
    ("tidy", {"asyncio/loop/long.cpp": "// x\n" * 601, "tools/ratchet.txt": "asyncio/loop/long.cpp 601  # a table\n"}),
    ("tidy", {"asyncio/loop/x_test.cpp": "void f() { usleep(1); }  // deadline: the kernel's own delay\n"}),
    ("tidy", {"asyncio/loop/fn.hpp": "struct A {\n" + "    void f() {}\n" * 70 + "};\nconstexpr int t[] = {\n" + "    1,\n" * 70 + "};\n"}),
    ("tidy", {"asyncio/loop/fn_test.cpp": "TEST(A, b) {\n" + LONG + "}\n"}),
    ("check_layers", {"asyncio/loop/y.hpp": "// #include <sys/epoll.h>\n/*\n#include <asyncio/testing/clock.hpp>\n*/\n"}),
    ("asyncio_lint", {"docs/x.md": "```python\nwhile (co_await c) {}\n```\n"}),
]


def run(check: str, files: dict[str, str]) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**GOOD, **files}.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([sys.executable, os.path.join(HERE, check + ".py"), root], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr


def main() -> int:
    faults = []
    for check in ("check_layers", "check_headers", "tidy", "asyncio_lint"):
        status, said = run(check, {})
        if status:
            faults.append(f"{check} does not pass the good tree:\n{said}")
    for check, path, text, expected in PLANTED:
        status, said = run(check, {path: text})
        if status != 1 or expected not in said:
            faults.append(f"{check} did not say '{expected}' of {path}, but ({status}):\n{said}")
    for check, files in ALLOWED:
        status, said = run(check, files)
        if status:
            faults.append(f"{check} refused what is allowed in {', '.join(files)}:\n{said}")
    lint = subprocess.run([sys.executable, os.path.join(HERE, "asyncio_lint_test.py")], capture_output=True, text=True)
    if lint.returncode:
        faults.append(lint.stdout + lint.stderr)
    print("\n".join(faults) if faults else f"{len(PLANTED)} planted faults found, {len(ALLOWED)} allowed cases passed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
