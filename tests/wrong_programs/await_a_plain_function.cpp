// SPDX-License-Identifier: MIT
// error: co_await needs a coroutine, task, future or another asyncio awaitable
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

void plain() {}
Coro<> f() { co_await plain; }
