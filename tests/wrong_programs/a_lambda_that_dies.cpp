// SPDX-License-Identifier: MIT
// error: temporary whose address is used as value of local variable 'greeting' will be destroyed
// clang: -DASYNCIO_STRICT_LIFETIMES=1
#include <asyncio/asyncio.hpp>

using asyncio::Coro;

Coro<> greet(std::string who);
Coro<> f(std::string who) {
    auto greeting = [who]() -> Coro<> { co_await greet(who); }();  // asyncio-lint: ok
    co_await std::move(greeting);
}
