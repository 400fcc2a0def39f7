// SPDX-License-Identifier: MIT
//
// An event is a starting gun: all who wait for it go at once.
//
//     ./dev example 18
//
// prints:
//     Ada is ready
//     Bob is ready
//     Eve is ready
//     bang
//     Ada runs
//     Bob runs
//     Eve runs
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> runner(const char* name, asyncio::Event& gun) {
    std::printf("%s is ready\n", name);
    co_await gun.wait();
    std::printf("%s runs\n", name);
}

Coro<> starter(asyncio::Event& gun) {
    co_await asyncio::sleep(20ms);
    std::puts("bang");
    gun.set();
}

Coro<> race() {
    asyncio::Event gun;
    auto shoot = asyncio::create_task(starter(gun));
    co_await asyncio::gather(runner("Ada", gun), runner("Bob", gun), runner("Eve", gun));
}

int main() { asyncio::run(race()); }
