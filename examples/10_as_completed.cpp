// SPDX-License-Identifier: MIT
//
// As completed: results in the order in which they come, not in the order in which they were asked.
//
//     ./dev example 10
//
// prints:
//     tea is ready
//     soup is ready
//     burnt: toast
//     roast is ready
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<std::string> cook(std::string dish, asyncio::Duration time) {
    co_await asyncio::sleep(time);
    if (dish == "toast") throw std::runtime_error("burnt: " + dish);
    co_return dish;
}

Coro<> kitchen() {
    std::vector<Coro<std::string>> dishes;
    dishes.push_back(cook("roast", 200ms));
    dishes.push_back(cook("soup", 80ms));
    dishes.push_back(cook("toast", 140ms));
    dishes.push_back(cook("tea", 20ms));
    auto ready = asyncio::as_completed(std::move(dishes));
    while (auto next = co_await ready.next()) {
        try {
            const std::string dish = co_await *next;
            std::printf("%s is ready\n", dish.c_str());
        } catch (const std::runtime_error& error) {
            std::puts(error.what());
        }
    }
}

int main() { asyncio::run(kitchen()); }
