// SPDX-License-Identifier: MIT
// error: co_await needs a coroutine, task, future or another asyncio awaitable
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<int> f() {
    const int n = co_await 42;
    co_return n;
}
