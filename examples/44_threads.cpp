// SPDX-License-Identifier: MIT
//
// Work for the processor goes to threads; the loop goes on meanwhile, here with a heartbeat.
//
//     ./dev example 44
//
// prints:
//     primes below 100000: 9592
//     primes below 200000: 17984
//     primes below 300000: 25997
//     the heart did not stop
#include <asyncio/asyncio.hpp>

#include <cstdio>

using namespace std::chrono_literals;
using asyncio::Coro;

int count_primes(int below) {
    int primes = 0;
    for (int n = 2; n < below; ++n) {
        int d = 2;
        while (d * d <= n && n % d != 0) ++d;
        primes += d * d > n;
    }
    return primes;
}

Coro<> heartbeat(int& beats) {
    for (;; ++beats) co_await asyncio::sleep(1ms);
}

Coro<> program() {
    int beats = 0;
    auto heart = asyncio::create_task(heartbeat(beats));
    const std::vector<int> limits = {100'000, 200'000, 300'000};
    auto in_thread = [](int below) { return asyncio::to_thread(count_primes, below); };
    const auto primes = co_await asyncio::gather(asyncio::map(limits, in_thread));
    for (std::size_t i = 0; i < limits.size(); ++i)
        std::printf("primes below %d: %d\n", limits[i], primes[i]);
    heart.cancel();
    std::puts(beats > 0 ? "the heart did not stop" : "the heart stood still");
}

int main() { return asyncio::run_main(program()); }
