// SPDX-License-Identifier: MIT
//
// What the tests of this room share: an event log, a counter of the loop's iterations, and small
// coroutines with a known behaviour.
#pragma once

#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio::task_tests {

using namespace std::chrono_literals;

/// What happened, in order.
using Events = std::vector<std::string>;

/// Counts the iterations of the running loop, from the next one on.
class Iterations {
  public:
    Iterations() : loop_(get_running_loop()) { schedule(); }
    Iterations(const Iterations&) = delete;
    Iterations& operator=(const Iterations&) = delete;
    ~Iterations() { handle_.cancel(); }

    int count() const noexcept { return count_; }

  private:
    void schedule() {
        handle_ = loop_.call_soon([this] {
            ++count_;
            schedule();
        });
    }

    EventLoop& loop_;
    Handle handle_;
    int count_ = 0;
};

/// Let the loop turn n times.
inline Coro<> turns(int n) {
    for (int i = 0; i < n; ++i) co_await sleep(0s);
}

template <class T>
Coro<T> at_once(T value) {
    co_return value;
}

inline Coro<> return_at_once() { co_return; }

template <class T>
Coro<T> later(T value, Duration delay) {
    co_await sleep(delay);
    co_return value;
}

inline Coro<> forever() { co_await sleep(std::chrono::hours(24)); }

inline Coro<int> fail_at_once(std::string what) {
    throw std::runtime_error(what);
    co_return 0;
}

inline Coro<int> fail_later(std::string what, Duration delay) {
    co_await sleep(delay);
    throw std::runtime_error(what);
}

/// Sleeps; when cancelled, notes it and gives way.
inline Coro<> note_cancel(Events& events, std::string name) {
    try {
        co_await sleep(std::chrono::hours(24));
    } catch (const CancelledError& e) {
        events.push_back(name + " cancelled" + (e.message().empty() ? "" : ": " + e.message()));
        throw;
    }
}

/// Sleeps; when cancelled, returns a value all the same.
inline Coro<int> swallow_cancel(int value) {
    try {
        co_await sleep(std::chrono::hours(24));
    } catch (const CancelledError&) {
    }
    co_return value;
}

inline Coro<> await_future(Future<int> f) {
    const int v = co_await f;
    (void)v;
}

/// describe() of what an outcome failed with.
template <class T>
std::string error_of(const Outcome<T>& outcome) {
    return outcome ? "none" : describe(outcome.error());
}

}  // namespace asyncio::task_tests
