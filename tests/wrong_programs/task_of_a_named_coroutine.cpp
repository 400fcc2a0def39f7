// SPDX-License-Identifier: MIT
// error: a Coro is awaited once: hand it over with std::move(coro)
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> work() { co_return; }
Coro<> f() {
    Coro<> coro = work();
    auto task = asyncio::create_task(coro);
    co_await task;
}
