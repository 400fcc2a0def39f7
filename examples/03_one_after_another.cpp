// SPDX-License-Identifier: MIT
//
// One after another, or all at once: an await waits; gather() lets things wait together. The loop's
// clock tells the difference.
//
//     ./dev example 3
//
// prints:
//     one after another: ... s
//     all at once: ... s
#include <asyncio/asyncio.hpp>

#include <chrono>
#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

Coro<> request(asyncio::Duration time) { co_await asyncio::sleep(time); }

Coro<> one_after_another() {
    co_await request(100ms);
    co_await request(200ms);
    co_await request(300ms);
}

Coro<> all_at_once() { co_await asyncio::gather(request(100ms), request(200ms), request(300ms)); }

Coro<> measure(const char* what, Coro<> work) {
    const auto start = asyncio::get_running_loop().time();
    co_await std::move(work);
    const std::chrono::duration<double> took = asyncio::get_running_loop().time() - start;
    std::printf("%s: %.1f s\n", what, took.count());
}

Coro<> compare() {
    co_await measure("one after another", one_after_another());
    co_await measure("all at once", all_at_once());
}

int main() { asyncio::run(compare()); }
