// SPDX-License-Identifier: MIT
//
// Coroutines that wait at the same time: thirteen dishes are ready in the time of the slowest.
//
//     ./dev example 2
//
// prints:
//     starting pasta
//     starting salad
//     starting pizza
//     pasta done, salad done, pizza done
//     10 soups
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <ranges>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<std::string> chef(std::string dish, asyncio::Duration time) {
    std::printf("starting %s\n", dish.c_str());
    co_await asyncio::sleep(time);
    co_return dish + " done";
}

Coro<std::string> boil_soup(int) {
    co_await asyncio::sleep(100ms);
    co_return "soup";
}

Coro<> dinner() {
    auto [pasta, salad, pizza] =
        co_await asyncio::gather(chef("pasta", 300ms), chef("salad", 200ms), chef("pizza", 500ms));
    std::printf("%s, %s, %s\n", pasta.c_str(), salad.c_str(), pizza.c_str());
    auto pots = std::views::iota(0, 10);
    auto soups = co_await asyncio::gather(asyncio::map(pots, boil_soup));
    std::printf("%zu soups\n", soups.size());
}

int main() { asyncio::run(dinner()); }
