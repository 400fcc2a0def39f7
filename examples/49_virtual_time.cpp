// SPDX-License-Identifier: MIT
//
// Testing with virtual time: a retry with exponential backoff that waits for minutes is tested in
// no time, to the exact second. With GoogleTest this would be an ASYNC_TEST with
// {.virtual_time = true} (see docs/testing.md); here it is a program, so that it needs nothing.
//
//     ./dev example 49
//
// prints:
//     the ninth call succeeds                                 ok
//     pauses double up to a minute                            ok
//     a service that stays down is given up                   ok
//     after ten minutes, to the nanosecond                    ok
//     13 minutes and 3 seconds of waiting, tested
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using asyncio::Coro;

/// What is tested: try at once, then after 1 s, 2 s, 4 s, ... at most 60 s; give up after ten
/// minutes.
class Retry {
  public:
    template <class F>
    Coro<int> run(F attempt) {
        co_return co_await asyncio::wait_for(keep_trying(std::move(attempt)), 10min);
    }

  private:
    template <class F>
    static Coro<int> keep_trying(F attempt) {
        asyncio::Duration pause = 1s;
        for (;;) {
            asyncio::Outcome<int> outcome = co_await asyncio::as_outcome(attempt());
            if (outcome) co_return *outcome;
            if (outcome.cancelled()) outcome.value();  // throws: a timeout is not for us
            co_await asyncio::sleep(pause);
            pause = std::min<asyncio::Duration>(pause * 2, 60s);
        }
    }
};

/// A service that is down for its first calls; notes when it was called.
class FlakyService {
  public:
    explicit FlakyService(int failures) : failures_(failures) {}

    Coro<int> call() {
        const auto now = asyncio::get_running_loop().time();
        if (calls.empty()) first_ = now;
        calls.push_back(std::chrono::duration_cast<std::chrono::seconds>(now - first_).count());
        co_await asyncio::sleep(10ms);  // it takes its time to fail
        if (static_cast<int>(calls.size()) <= failures_) throw std::runtime_error("down");
        co_return 42;
    }

    std::vector<long> calls;  // in seconds after the first

  private:
    int failures_;
    asyncio::TimePoint first_;
};

void check(bool condition, const char* what) {
    std::printf("%-55s %s\n", what, condition ? "ok" : "FAILED");
    if (!condition) throw std::logic_error(what);
}

Coro<> pauses_grow_and_are_bounded() {
    FlakyService service(8);
    Retry retry;
    const int result =
        co_await retry.run([&]() -> Coro<int> { co_return co_await service.call(); });
    check(result == 42, "the ninth call succeeds");
    const std::vector<long> expected{0, 1, 3, 7, 15, 31, 63, 123, 183};
    check(service.calls == expected, "pauses double up to a minute");
}

Coro<> gives_up_after_ten_minutes() {
    FlakyService service(1'000'000);
    Retry retry;
    const auto start = asyncio::get_running_loop().time();
    bool gave_up = false;
    try {
        co_await retry.run([&]() -> Coro<int> { co_return co_await service.call(); });
    } catch (const asyncio::TimeoutError&) {
        gave_up = true;
    }
    check(gave_up, "a service that stays down is given up");
    check(asyncio::get_running_loop().time() - start == 10min,
          "after ten minutes, to the nanosecond");
}

int main() {
    // asyncio::testing::run is asyncio::run on a loop whose time jumps over all that is waited for.
    asyncio::testing::run(pauses_grow_and_are_bounded());
    asyncio::testing::run(gives_up_after_ten_minutes());
    std::printf("13 minutes and 3 seconds of waiting, tested\n");
}
