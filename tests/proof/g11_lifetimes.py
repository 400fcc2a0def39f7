#!/usr/bin/env python3
"""G11: arguments live as long as they should (B3, B8), whatever their shape, whichever coroutine they are for,
whatever the compiler.

Each of 18 shapes of an argument goes into a coroutine that is given to each entry of the library (co_await,
create_task, gather, ...); each program counts its objects: every one destroyed once, where it was made. Compiled by both
compilers, without and with optimisation, and with the address sanitizer. What GCC 12 is known to break is not here:
asyncio-lint refuses it, and tests/canary_test.py sees that it still has to.

usage: g11_lifetimes.py [--slice | --nightly]      (--slice: one compiler, one level)
"""
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("ASYNCIO_BUILD_DIR", os.path.join(ROOT, "build/release"))

# name: (what stands before, the call)
SHAPES = {
    "a class by value": ("", "take(Tracked(7))"),
    "a named object, moved": ("Tracked t(7);", "take(std::move(t))"),
    "a named object, copied": ("Tracked t(7);", "take(t)"),
    "a reference to a named object": ("Tracked t(7);", "take_reference(t)"),
    "a literal for a string": ("", 'take_string("seven chars, and more of them than fit in place")'),
    "a string by value": ("", "take_string(std::string(47, 'x'))"),
    "a string view": ("std::string s(47, 'x');", "take_view(s)"),
    "a vector by value": ("", "take_vector(std::vector<Tracked>(7, Tracked(1)))"),
    "a unique pointer": ("", "take_unique(std::make_unique<Tracked>(7))"),
    "a shared pointer": ("", "take_shared(std::make_shared<Tracked>(7))"),
    "a pair": ("", "take_pair(std::pair<Tracked, int>(3, 4))"),
    "a tuple": ("", "take_tuple(std::tuple<Tracked, Tracked>(3, 4))"),
    "an optional": ("", "take_optional(std::optional<Tracked>(std::in_place, 7))"),
    "a variant": ("", "take_variant(std::variant<int, Tracked>(std::in_place_index<1>, 7))"),
    "options that own nothing": ("", "take_options({.number = 7})"),
    "a named aggregate, moved": ("Owner o{Tracked(3), Tracked(4)};", "take_owner(std::move(o))"),
    "what a function returns": ("", "take(make(7))"),
    "another coroutine": ("", "take_coroutine(take(Tracked(7)))"),
}

# name: statements that set `value` from CALL
ENTRIES = {
    "co_await": "value = co_await CALL;",
    "a named coroutine": "Coro<int> named = CALL; value = co_await std::move(named);",
    "create_task": "value = co_await create_task(CALL);",
    "a named task": "Task<int> named = create_task(CALL); value = co_await named;",
    "loop.create_task": "value = co_await get_running_loop().create_task(CALL);",
    "eager create_task": "value = co_await create_task(CALL, {.eager_start = true});",
    "gather": "auto all = co_await gather(CALL); value = std::get<0>(all);",
    "gather of a vector": "std::vector<Coro<int>> many; many.push_back(CALL); auto all = co_await gather(std::move(many)); value = all[0];",
    "wait_for": "value = co_await wait_for(CALL, std::chrono::seconds(9));",
    "as_outcome": "auto outcome = co_await as_outcome(CALL); value = *outcome;",
    "shield": "value = co_await shield(CALL);",
    "with_cleanup": "auto cleanup = [&]() -> Coro<> { co_await sleep(std::chrono::seconds(0)); }; value = co_await with_cleanup(CALL, cleanup);",
    "timeout": "auto body = [&]() -> Coro<> { value = co_await CALL; }; co_await timeout(std::chrono::seconds(9), body);",
    "TaskGroup": "auto body = [&](TaskGroup& group) -> Coro<> { auto task = group.create_task(CALL); value = co_await task; }; co_await with(TaskGroup(), body);",
    "create_task of a function": "auto function = [&]() -> Coro<int> { co_return co_await CALL; }; value = co_await create_task(function);",
    "dropped": "{ auto never = CALL; (void)never.valid(); } value = 7;",
}

HEAD = r"""
#include <asyncio/asyncio.hpp>
#include <cstdio>
#include <set>
#include <tuple>
#include <variant>
using namespace asyncio;
static std::set<const void*> live;
static int wrong = 0;
static void check(bool right) { if (!right) ++wrong; }
struct Tracked {
    Tracked(int v = 0) : value(v) { check(live.insert(this).second); }
    Tracked(const Tracked& other) : value(other.value) { check(live.insert(this).second); }
    Tracked(Tracked&& other) noexcept : value(other.value) { check(live.insert(this).second); }
    Tracked& operator=(const Tracked&) = default;
    ~Tracked() { check(live.erase(this) == 1); }
    int value;
};
struct Options { int number = 0; const char* text = ""; };
struct Owner { Tracked a; Tracked b; };
static Tracked make(int value) { return Tracked(value); }
static Sleep turn() { return sleep(std::chrono::seconds(0)); }
static bool lives(const Tracked& t) { return live.count(&t) == 1; }
#define BODY(expression) co_await turn(); const int result = expression; co_await turn(); co_return result;
static Coro<int> take(Tracked t) { BODY(lives(t) ? t.value : -1) }
static Coro<int> take_reference(const Tracked& t) { BODY(lives(t) ? t.value : -1) }
static Coro<int> take_string(std::string s) { BODY(s.size() >= 47 ? 7 : -1) }
static Coro<int> take_view(std::string_view s) { BODY(s.size() == 47 && s.back() == 'x' ? 7 : -1) }
static Coro<int> take_vector(std::vector<Tracked> v) { BODY(lives(v[6]) ? static_cast<int>(v.size()) : -1) }
static Coro<int> take_unique(std::unique_ptr<Tracked> p) { BODY(lives(*p) ? p->value : -1) }
static Coro<int> take_shared(std::shared_ptr<Tracked> p) { BODY(lives(*p) ? p->value : -1) }
static Coro<int> take_pair(std::pair<Tracked, int> p) { BODY(lives(p.first) ? p.first.value + p.second : -1) }
static Coro<int> take_tuple(std::tuple<Tracked, Tracked> t) { BODY(lives(std::get<1>(t)) ? std::get<0>(t).value + std::get<1>(t).value : -1) }
static Coro<int> take_optional(std::optional<Tracked> o) { BODY(lives(*o) ? o->value : -1) }
static Coro<int> take_variant(std::variant<int, Tracked> v) { BODY(lives(std::get<1>(v)) ? std::get<1>(v).value : -1) }
static Coro<int> take_options(Options o) { BODY(o.number) }
static Coro<int> take_owner(Owner o) { BODY(lives(o.b) ? o.a.value + o.b.value : -1) }
static Coro<int> take_coroutine(Coro<int> inner) { const int value = co_await std::move(inner); co_return value; }
"""

MAIN = r"""
int main() {
    int failed = 0;
    for (const auto& one : all) {
        wrong = 0;
        const int value = run(one.function());
        if (value == 7 && wrong == 0 && live.empty()) continue;
        ++failed;
        std::printf("    %s: value %d, %d wrong, %zu left\n", one.name, value, wrong, live.size());
        live.clear();
    }
    return failed == 0 ? 0 : 1;
}
"""

LEVELS = {"-O0": ["-O0"], "-O2": ["-O2"], "ASan": ["-O1", "-g1", "-fsanitize=address"]}


def program() -> str:
    functions, table = [], []
    for shape, (before, call) in SHAPES.items():
        for entry, statements in ENTRIES.items():
            name = f"f{len(table)}"
            functions.append(f"static Coro<int> {name}() {{ int value = 0; {{ {before} {statements.replace('CALL', call)} }} co_return value; }}")
            table.append(f'    {{"{shape}, {entry}", &{name}}},')
    return "\n".join([HEAD, *functions, "struct Case { const char* name; Coro<int> (*function)(); };", "static const Case all[] = {", *table, "};", MAIN])


def attempt(compiler: str, level: str, source: str, folder: str) -> tuple[str, str]:
    """What it was, and what was wrong with it."""
    binary = os.path.join(folder, f"{os.path.basename(compiler)}{level}")
    libraries = [os.path.join(BUILD, "libasyncio.a"), "-luring", "-lpthread"]
    command = [compiler, "-std=c++20", "-w", "-DASYNCIO_NO_COMPILER_NOTE", *LEVELS[level], f"-I{ROOT}", source, "-o", binary, *libraries]
    name = f"{compiler} {level}"
    try:
        built = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        if built.returncode != 0:
            return name, "does not compile:\n" + "\n".join(built.stderr.split("\n")[:20])
        ran = subprocess.run([binary], capture_output=True, text=True, timeout=60, check=False)
        return name, "" if ran.returncode == 0 else f"ended with {ran.returncode}:\n{ran.stdout[-3000:]}{ran.stderr[-3000:]}"
    except subprocess.TimeoutExpired as expired:
        return name, f"took longer than {expired.timeout} s"


def main() -> int:
    if set(sys.argv[1:]) - {"--slice", "--nightly"}:
        print(__doc__, file=sys.stderr)
        return 2
    whole = [(compiler, level) for compiler in ("g++", "clang++-19") for level in LEVELS]
    wanted = [("g++", "-O0")] if "--slice" in sys.argv else whole
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "lifetimes.cpp")
        with open(source, "w", encoding="utf-8") as file:
            file.write(program())
        with ThreadPoolExecutor(int(os.environ.get("PROOF_JOBS", "2"))) as pool:
            ends = list(pool.map(lambda pair: attempt(*pair, source, folder), wanted))
    wrong = 0
    for name, fault in ends:
        if fault:
            wrong += 1
            print(f"    {name}: {fault}")
    print(f"G11 lifetimes: {len(SHAPES)} shapes x {len(ENTRIES)} entries x {len(wanted)} compilers and levels, {wrong} wrong (limit 0)" + (" MISSED" if wrong else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
