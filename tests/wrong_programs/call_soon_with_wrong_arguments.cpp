// SPDX-License-Identifier: MIT
// error: the callback cannot be called with these arguments
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

void f(asyncio::EventLoop& loop) {
    loop.call_later(1s, [](int) {}, std::string("x"));
}
