// SPDX-License-Identifier: MIT
//
// Hello, world: a coroutine, an await, and the loop that runs them.
//
//     ./dev example 1
//
// prints:
//     hello
//     world
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;

asyncio::Coro<> hello() {
    std::puts("hello");
    co_await asyncio::sleep(100ms);
    std::puts("world");
}

int main() { asyncio::run(hello()); }
