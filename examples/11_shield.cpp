// SPDX-License-Identifier: MIT
//
// Timeouts and shields: wait_for() gives up and cancels; under a shield() what it waited for goes
// on. timeout() limits a whole block.
//
//     ./dev example 11
//
// prints:
//     too slow, cancelled: true
//     too slow, the payment goes on
//     paid 100
//     the block took too long
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<int> pay(int amount) {
    co_await asyncio::sleep(100ms);
    co_return amount;
}

Coro<> shop() {
    asyncio::Task<int> first = asyncio::create_task(pay(50));
    try {
        co_await asyncio::wait_for(first, 20ms);
    } catch (const asyncio::TimeoutError&) {
        std::printf("too slow, cancelled: %s\n", first.cancelled() ? "true" : "false");
    }
    asyncio::Task<int> second = asyncio::create_task(pay(100));
    try {
        co_await asyncio::wait_for(asyncio::shield(second), 20ms);
    } catch (const asyncio::TimeoutError&) {
        std::puts("too slow, the payment goes on");
    }
    const int paid = co_await second;
    std::printf("paid %d\n", paid);
    try {
        co_await asyncio::timeout(50ms, []() -> Coro<> {
            co_await pay(1);
            co_await pay(2);
        });
    } catch (const asyncio::TimeoutError&) {
        std::puts("the block took too long");
    }
}

int main() { asyncio::run(shop()); }
