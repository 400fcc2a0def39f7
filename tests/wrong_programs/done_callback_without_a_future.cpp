// SPDX-License-Identifier: MIT
// error: a done callback is called with the future
#include <asyncio/asyncio.hpp>

using namespace std::chrono_literals;
using asyncio::Coro;

void f(asyncio::Future<int> future) {
    future.add_done_callback([] {});
}
