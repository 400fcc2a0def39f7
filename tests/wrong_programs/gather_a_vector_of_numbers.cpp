// SPDX-License-Identifier: MIT
// error: gather needs coroutines, tasks, futures or other awaitables, or a range of them
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> f() {
    std::vector<int> numbers{1, 2};
    co_await asyncio::gather(std::move(numbers));
}
