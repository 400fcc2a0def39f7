// SPDX-License-Identifier: MIT
//
// A barrier: a round begins when all have finished the one before.
//
//     ./dev example 19
//
// prints:
//     round 1 is over
//     round 2 is over
//     everybody did 2 rounds
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> player(asyncio::Duration pace, asyncio::Barrier& barrier) {
    for (int round = 1; round <= 2; ++round) {
        co_await asyncio::sleep(pace);
        const std::size_t place = co_await barrier.wait();
        if (place == 0) std::printf("round %d is over\n", round);  // one of us says so
    }
}

Coro<> game() {
    asyncio::Barrier barrier(3);
    co_await asyncio::gather(player(5ms, barrier), player(30ms, barrier), player(60ms, barrier));
    std::puts("everybody did 2 rounds");
}

int main() { asyncio::run(game()); }
