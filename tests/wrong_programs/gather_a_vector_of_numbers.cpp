// SPDX-License-Identifier: MIT
// error: gather needs coroutines, tasks, futures or other awaitables, or a std::vector of them
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> f() { co_await asyncio::gather(std::vector<int>{1, 2}); }
