// SPDX-License-Identifier: MIT
// error: a Coro is awaited once: write co_await std::move(coro)
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<int> one() { co_return 1; }
Coro<int> f() {
    Coro<int> coro = one();
    const int n = co_await coro;
    co_return n;
}
