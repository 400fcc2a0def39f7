// SPDX-License-Identifier: MIT
// error: create_task needs a function that returns a coroutine (or other awaitable)
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

int plain() { return 1; }
Coro<> f() {
    auto task = asyncio::create_task(plain);
    co_await task;
}
