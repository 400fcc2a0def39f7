// SPDX-License-Identifier: MIT
//
// An async generator and an async context manager of one's own: a thermometer that is switched on
// and off around a block, and whose readings one iterates over.
//
//     ./dev example 26
//
// prints:
//     on
//     20 degrees
//     21 degrees
//     22 degrees
//     off
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

struct Thermometer {
    Coro<> aenter() {
        co_await asyncio::sleep(10ms);  // it warms up
        std::puts("on");
    }
    Coro<bool> aexit(std::exception_ptr) {
        co_await asyncio::sleep(10ms);
        std::puts("off");
        co_return false;  // an exception passes
    }
    asyncio::AsyncGenerator<int> readings() {
        for (int degrees = 20;; ++degrees) {
            co_await asyncio::sleep(10ms);
            co_yield degrees;
        }
    }
};

Coro<> watch() {
    co_await asyncio::with(Thermometer(), [](Thermometer& thermometer) -> Coro<> {
        auto readings = asyncio::take(thermometer.readings(), 3);
        while (auto degrees = co_await readings.next()) std::printf("%d degrees\n", *degrees);
    });
}

int main() { asyncio::run(watch()); }
