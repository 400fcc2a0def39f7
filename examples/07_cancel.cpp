// SPDX-License-Identifier: MIT
//
// Cancelling: a request that comes out of the await a task is in. What the task holds is released
// on the way: by destructors, and by with_cleanup() where the release has to wait for something.
//
//     ./dev example 7
//
// prints:
//     10
//     9
//     ...
//     the rocket is secured
//     cancelled: there is a bird on it
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> count_down(int from) {
    for (int n = from; n > 0; --n) {
        std::printf("%d\n", n);
        co_await asyncio::sleep(100ms);
    }
    std::puts("lift-off");
}

Coro<> secure_the_rocket() {
    co_await asyncio::sleep(50ms);
    std::puts("the rocket is secured");
}

Coro<> mission() {
    auto launch = asyncio::create_task(asyncio::with_cleanup(count_down(10), secure_the_rocket));
    co_await asyncio::sleep(250ms);
    launch.cancel("there is a bird on it");
    try {
        co_await launch;
    } catch (const asyncio::CancelledError& cancelled) {
        std::printf("cancelled: %s\n", cancelled.what());
    }
}

int main() { asyncio::run(mission()); }
