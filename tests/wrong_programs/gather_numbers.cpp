// SPDX-License-Identifier: MIT
// error: gather needs coroutines, tasks, futures or other awaitables, or a range of them
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> work() { co_return; }
Coro<> f() { co_await asyncio::gather(work(), 42); }
