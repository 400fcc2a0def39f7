// SPDX-License-Identifier: MIT
//
// A task group: three probes start together; one fails, the others are stopped, and what went wrong
// arrives in one place.
//
//     ./dev example 13
//
// prints:
//     three probes are out
//     fuel: fine
//     weather: stopped
//     no launch: std::runtime_error: engine is on fire
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> probe(std::string name, asyncio::Duration time, bool broken = false) {
    try {
        co_await asyncio::sleep(time);
    } catch (const asyncio::CancelledError&) {
        std::printf("%s: stopped\n", name.c_str());
        throw;
    }
    if (broken) throw std::runtime_error(name + " is on fire");
    std::printf("%s: fine\n", name.c_str());
}

Coro<> launch() {
    try {
        co_await asyncio::with(asyncio::TaskGroup(), [](asyncio::TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(probe("fuel", 20ms));
            (void)tg.create_task(probe("engine", 50ms, true));
            (void)tg.create_task(probe("weather", 10s));
            std::puts("three probes are out");
            co_return;
        });
    } catch (const asyncio::ExceptionGroup& eg) {
        for (const std::exception_ptr& error : eg.exceptions())
            std::printf("no launch: %s\n", asyncio::describe(error).c_str());
    }
}

int main() { asyncio::run(launch()); }
