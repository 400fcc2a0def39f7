// SPDX-License-Identifier: MIT
// error: create_task needs a function that returns a coroutine (or other awaitable)
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> f() {
    co_await asyncio::with(asyncio::TaskGroup(), [](asyncio::TaskGroup& group) -> Coro<> {
        group.create_task([] {});
        co_return;
    });
}
