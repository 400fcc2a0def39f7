// SPDX-License-Identifier: MIT
// error: address of stack memory associated with local variable 'who' returned
// clang: -DASYNCIO_STRICT_LIFETIMES=1
#include <asyncio/asyncio.hpp>

using asyncio::Coro;

Coro<> greet(const std::string& who);
ASYNCIO_CORO_WRAPPER Coro<> greet_ada() {
    std::string who = "Ada";
    return greet(who);
}
