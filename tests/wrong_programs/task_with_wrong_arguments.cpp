// SPDX-License-Identifier: MIT
// error: create_task needs a coroutine, another awaitable, or a function and the arguments it can
// be called with
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> work(int, std::string) { co_return; }
Coro<> f() {
    auto task = asyncio::create_task(work, std::string("one"), 2);
    co_await task;
}
