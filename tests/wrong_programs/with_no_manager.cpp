// SPDX-License-Identifier: MIT
// error: with() needs a manager with aenter() and aexit(std::exception_ptr)
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> f() {
    co_await asyncio::with(42, []() -> Coro<> { co_return; });
}
