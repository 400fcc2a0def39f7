// SPDX-License-Identifier: MIT
//
// A counter under a lock. Tasks of one loop never run at the same time, so a plain ++ needs none;
// but what is read before an await and written after it does.
//
//     ./dev example 16
//
// prints:
//     without a lock: 1
//     with a lock: 10
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <ranges>

using asyncio::Coro;

struct Counter {
    int value = 0;
    asyncio::Lock lock;

    Coro<> increment() {
        const int read = value;
        co_await asyncio::sleep(std::chrono::milliseconds(1));  // others run here
        value = read + 1;
    }
    Coro<> increment_safely() {
        const auto held = co_await lock.scoped();  // released at the end of the block
        co_await increment();
    }
};

Coro<> count() {
    Counter careless;
    auto wrong = [&](int) { return careless.increment(); };
    co_await asyncio::gather(asyncio::map(std::views::iota(0, 10), wrong));
    std::printf("without a lock: %d\n", careless.value);
    Counter careful;
    auto right = [&](int) { return careful.increment_safely(); };
    co_await asyncio::gather(asyncio::map(std::views::iota(0, 10), right));
    std::printf("with a lock: %d\n", careful.value);
}

int main() { asyncio::run(count()); }
