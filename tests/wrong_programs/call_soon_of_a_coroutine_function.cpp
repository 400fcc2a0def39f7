// SPDX-License-Identifier: MIT
// error: a coroutine is no callback, nothing would run it: use create_task
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> work(int) { co_return; }
void f(asyncio::EventLoop& loop) { loop.call_soon(work, 1); }
