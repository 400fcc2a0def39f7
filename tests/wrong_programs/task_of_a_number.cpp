// SPDX-License-Identifier: MIT
// error: create_task needs a coroutine, another awaitable, or a function and the arguments it can
// be called with
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> f() {
    auto task = asyncio::create_task(42);
    co_await task;
}
