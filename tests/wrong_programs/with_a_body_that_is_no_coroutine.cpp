// SPDX-License-Identifier: MIT
// error: with() needs a body that returns a coroutine
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> f() {
    co_await asyncio::with(asyncio::TaskGroup(), [](asyncio::TaskGroup&) {});
}
