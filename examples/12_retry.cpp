// SPDX-License-Identifier: MIT
//
// Retry with backoff and jitter: after each failure wait twice as long, and a bit at random, so
// that a thousand clients do not come back at the same moment.
//
//     ./dev example 12
//
// prints:
//     try 1: no answer; again in ... ms
//     try 2: no answer; again in ... ms
//     try 3: connection refused; again in ... ms
//     the service says 42
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <random>

using namespace std::chrono_literals;
using asyncio::Coro;

/// Hangs twice, refuses once, then answers.
Coro<int> flaky_service(int attempt) {
    if (attempt < 3) co_await asyncio::sleep(10s);
    if (attempt == 3) throw std::runtime_error("connection refused");
    co_return 42;
}

Coro<int> ask_patiently(int attempts) {
    std::minstd_rand random(std::random_device{}());
    auto backoff = 10ms;
    for (int attempt = 1;; ++attempt) {
        auto answer = co_await asyncio::as_outcome(asyncio::wait_for(flaky_service(attempt), 50ms));
        if (answer || attempt == attempts || answer.cancelled()) co_return *answer;  // or throws
        const std::string problem = asyncio::describe(answer.error());
        const bool slow = problem.find("Timeout") != std::string::npos;
        const auto delay = backoff + random() % (backoff.count() + 1) * 1ms;
        std::printf("try %d: %s; again in %d ms\n", attempt,
                    slow ? "no answer" : "connection refused", static_cast<int>(delay.count()));
        co_await asyncio::sleep(delay);
        backoff *= 2;
    }
}

Coro<> program() {
    const int answer = co_await ask_patiently(5);
    std::printf("the service says %d\n", answer);
}

int main() { asyncio::run(program()); }
