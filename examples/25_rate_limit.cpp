// SPDX-License-Identifier: MIT
//
// A rate limiter: three requests at once, then one every 20 ms, whoever asks.
//
//     ./dev example 25
//
// prints:
//     page 1 after ... s
//     page 2 after ... s
//     page 3 after ... s
//     page 4 after ... s
//     page 5 after ... s
//     5 pages, not faster than allowed
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ranges>

using namespace std::chrono_literals;
using asyncio::Coro;

asyncio::TimePoint now() { return asyncio::get_running_loop().time(); }

/// Like a bucket that gets a token every `interval` and has room for `burst` of them.
struct RateLimiter {
    int burst;
    asyncio::Duration interval;
    asyncio::TimePoint next = now() - burst * interval;  // when the next token is due

    Coro<> wait() {
        next = std::max(next + interval, now() - (burst - 1) * interval);
        co_await asyncio::sleep(next - now());  // not at all, if that is past
    }
};

Coro<> crawl() {
    RateLimiter limiter{3, 20ms};
    const auto start = now();
    auto request = [&](int page) -> Coro<> {
        co_await limiter.wait();
        const std::chrono::duration<double> after = now() - start;
        std::printf("page %d after %.2f s\n", page, after.count());
    };
    co_await asyncio::gather(asyncio::map(std::views::iota(1, 6), request));
    if (now() - start >= 40ms) std::puts("5 pages, not faster than allowed");
}

int main() { asyncio::run(crawl()); }
