// SPDX-License-Identifier: MIT
// error: sleep() does nothing until it is awaited: co_await it
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> f() {
    asyncio::sleep(1s);
    co_return;
}
