// SPDX-License-Identifier: MIT
// error: create_task needs a coroutine, another awaitable, or a function and the arguments it can
// be called with
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

int main() { asyncio::run(42); }
