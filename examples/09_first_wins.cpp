// SPDX-License-Identifier: MIT
//
// Wait for the first: ask three mirrors, take the fastest, and stop the others.
//
//     ./dev example 9
//
// prints:
//     near answers first
//     2 are stopped
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<std::string> mirror(std::string name, asyncio::Duration distance) {
    co_await asyncio::sleep(distance);
    co_return name;
}

Coro<> ask() {
    std::vector<Coro<std::string>> mirrors;
    mirrors.push_back(mirror("far", 10s));
    mirrors.push_back(mirror("near", 20ms));
    mirrors.push_back(mirror("away", 5s));
    auto [done, pending] =
        co_await asyncio::wait(std::move(mirrors), {.return_when = asyncio::FIRST_COMPLETED});
    for (const auto& task : done) std::printf("%s answers first\n", task.result().c_str());
    for (const auto& task : pending) task.cancel();
    co_await asyncio::wait(pending);  // until they have cleaned up
    std::printf("%zu are stopped\n", pending.size());
}

int main() { asyncio::run(ask()); }
