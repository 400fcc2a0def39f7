// SPDX-License-Identifier: MIT
// error: a coroutine does nothing until it is awaited: co_await it, or give it to create_task
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> step() { co_return; }
Coro<> f() {
    step();
    co_return;
}
