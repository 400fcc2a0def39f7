// SPDX-License-Identifier: MIT
//
// Coroutines that wait at the same time: thirteen dishes are ready in the time of the slowest.
//
//     build/dev/example_02_dinner
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<std::string> chef(std::string dish, asyncio::Duration time) {
    std::printf("starting %s\n", dish.c_str());
    co_await asyncio::sleep(time);
    co_return dish + " done";
}

Coro<> dinner() {
    auto [pasta, salad, pizza] =
        co_await asyncio::gather(chef("pasta", 300ms), chef("salad", 200ms), chef("pizza", 500ms));
    std::printf("%s, %s, %s\n", pasta.c_str(), salad.c_str(), pizza.c_str());

    std::vector<Coro<std::string>> more;
    for (int i = 0; i < 10; ++i) more.push_back(chef("soup", 100ms));
    std::vector<std::string> soups = co_await asyncio::gather(std::move(more));
    std::printf("%zu soups\n", soups.size());
}

}  // namespace

int main() { asyncio::run(dinner()); }
