// SPDX-License-Identifier: MIT
//
// Producer and consumers with a queue: bounded, so that the baker waits when the shelf is full; and
// shut down, so that the customers know when to go home.
//
//     ./dev example 21
//
// prints:
//     baked loaf 1
//     baked loaf 2
//     baked loaf 3
//     baked loaf 4
//     baked loaf 5
//     baked loaf 6
//     Ann has 3, Bob has 3
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> baker(asyncio::Queue<int>& shelf) {
    for (int loaf = 1; loaf <= 6; ++loaf) {
        co_await shelf.put(loaf);  // waits while the shelf is full
        std::printf("baked loaf %d\n", loaf);
    }
    shelf.shutdown();  // customers get what is left, then no more
}

Coro<int> customer(asyncio::Queue<int>& shelf) {
    int bought = 0;
    auto loaves = shelf.items();
    while (auto loaf = co_await loaves.next()) {
        ++bought;
        co_await asyncio::sleep(10ms);
    }
    co_return bought;
}

Coro<> bakery() {
    asyncio::Queue<int> shelf(2);
    auto [none, ann, bob] =
        co_await asyncio::gather(baker(shelf), customer(shelf), customer(shelf));
    std::printf("Ann has %d, Bob has %d\n", ann, bob);
}

int main() { asyncio::run(bakery()); }
