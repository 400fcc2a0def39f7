// SPDX-License-Identifier: MIT
//
// Producer and consumers: a bounded queue between tasks of different speed.
//
//     build/dev/example_21_producer_consumer
#include <asyncio/asyncio.hpp>

#include <cstdio>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> baker(asyncio::Queue<int>& shelf) {
    for (int loaf = 1; loaf <= 6; ++loaf) {
        co_await shelf.put(loaf);  // waits while the shelf is full
        std::printf("baked loaf %d\n", loaf);
    }
    shelf.shutdown();  // customers get what is left, then QueueShutDown
}

Coro<int> customer(asyncio::Queue<int>& shelf) {
    int bought = 0;
    try {
        for (;; ++bought) {
            co_await shelf.get();
            co_await asyncio::sleep(10ms);
        }
    } catch (const asyncio::QueueShutDown&) {
    }
    co_return bought;
}

Coro<> bakery() {
    asyncio::Queue<int> shelf(2);
    const auto [none, ann, bob] =
        co_await asyncio::gather(baker(shelf), customer(shelf), customer(shelf));
    std::printf("Ann has %d, Bob has %d\n", ann, bob);
}

}  // namespace

int main() { asyncio::run(bakery()); }
