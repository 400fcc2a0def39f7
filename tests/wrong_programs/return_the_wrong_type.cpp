// SPDX-License-Identifier: MIT
// error: co_return: the value cannot be converted to the T of Coro<T>
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<int> f() { co_return std::string("5"); }
