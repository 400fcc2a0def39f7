// SPDX-License-Identifier: MIT
//
// A semaphore: two printers for five documents.
//
//     ./dev example 17
//
// prints:
//     printing 1
//     printing 2
//     printing 3
//     printing 4
//     printing 5
//     at most 2 at work
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <cstdio>
#include <ranges>

using namespace std::chrono_literals;
using asyncio::Coro;

int at_work = 0;
int most = 0;

Coro<> print(int document, asyncio::Semaphore& printers) {
    const auto printer = co_await printers.scoped();
    most = std::max(most, ++at_work);
    std::printf("printing %d\n", document);
    co_await asyncio::sleep(20ms);
    --at_work;
}

Coro<> office() {
    asyncio::Semaphore printers(2);
    auto job = [&](int document) { return print(document, printers); };
    co_await asyncio::gather(asyncio::map(std::views::iota(1, 6), job));
    std::printf("at most %d at work\n", most);
}

int main() { asyncio::run(office()); }
