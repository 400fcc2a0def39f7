// SPDX-License-Identifier: MIT
//
// A task group: three probes start together; one fails, the others are stopped, and what went wrong
// arrives in one place.
//
//     build/dev/example_13_task_group
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> probe(std::string name, asyncio::Duration time, bool broken) {
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
            (void)tg.create_task(probe("fuel", 20ms, false));
            (void)tg.create_task(probe("engine", 50ms, true));
            (void)tg.create_task(probe("weather", 10s, false));
            std::printf("three probes are out\n");
            co_return;
        });
        std::printf("lift-off\n");
    } catch (const asyncio::ExceptionGroup& eg) {
        for (const std::exception_ptr& e : eg.exceptions())
            std::printf("no launch: %s\n", asyncio::describe(e).c_str());
    }
}

}  // namespace

int main() { asyncio::run(launch()); }
