// SPDX-License-Identifier: MIT
//
// Producer and consumer with a condition: who waits for something to become true sleeps until
// somebody who may have changed it says so.
//
//     ./dev example 20
//
// prints:
//     put 1
//     put 2
//     took 1
//     took 2
//     put 3
//     took 3
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <deque>

using asyncio::Coro;

struct Shelf {
    static constexpr std::size_t kRoom = 2;
    std::deque<int> loaves;
    asyncio::Condition changed;

    Coro<> put(int loaf) {
        const auto held = co_await changed.scoped();
        co_await changed.wait_for([&] { return loaves.size() < kRoom; });
        loaves.push_back(loaf);
        std::printf("put %d\n", loaf);
        changed.notify_all();
    }
    Coro<> take() {
        const auto held = co_await changed.scoped();
        co_await changed.wait_for([&] { return !loaves.empty(); });
        std::printf("took %d\n", loaves.front());
        loaves.pop_front();
        changed.notify_all();
    }
};

Coro<> baker(Shelf& shelf) {
    for (int loaf = 1; loaf <= 3; ++loaf) co_await shelf.put(loaf);
}

Coro<> customer(Shelf& shelf) {
    for (int i = 0; i < 3; ++i) co_await shelf.take();
}

Coro<> bakery() {
    Shelf shelf;
    co_await asyncio::gather(baker(shelf), customer(shelf));
}

int main() { asyncio::run(bakery()); }
