// SPDX-License-Identifier: MIT
// error: wait_for needs a coroutine, task, future or other awaitable
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> f() { co_await asyncio::wait_for(42, 1s); }
