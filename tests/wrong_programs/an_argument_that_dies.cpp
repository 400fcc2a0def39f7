// SPDX-License-Identifier: MIT
// error: temporary whose address is used as value of local variable 'greeting' will be destroyed
// clang: -DASYNCIO_STRICT_LIFETIMES=1
#include <asyncio/asyncio.hpp>

using asyncio::Coro;

std::string name();
Coro<> greet(const std::string& who);
Coro<> f() {
    auto greeting = greet(name());
    co_await std::move(greeting);
}
