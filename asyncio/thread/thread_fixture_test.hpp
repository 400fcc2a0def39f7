// SPDX-License-Identifier: MIT
//
// What the tests of this room share: gates that threads wait at, and a pool with one busy thread.
#pragma once

#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/thread/run_in_executor.hpp>
#include <asyncio/thread/thread_pool_executor.hpp>
#include <asyncio/thread/to_thread.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio::thread_tests {

using namespace std::chrono_literals;

/// Closed at first; who passes waits until somebody opens it.
class Gate {
  public:
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        opened_.notify_all();
    }
    void pass() {
        std::unique_lock lock(mutex_);
        opened_.wait(lock, [this] { return open_; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool open_ = false;
};

/// Occupies one thread of a pool until released.
class Blocker {
  public:
    explicit Blocker(Executor& executor)
        : future_(executor.submit([this] {
              entered_.open();
              leave_.pass();
          })) {
        entered_.pass();
    }
    ~Blocker() { release(); }
    void release() {
        leave_.open();
        future_.wait();
    }

  private:
    Gate entered_;
    Gate leave_;
    ConcurrentFuture<> future_;
};

template <class T>
std::string error_of(const Outcome<T>& outcome) {
    return outcome ? "none" : describe(outcome.error());
}

/// describe() of what `f` throws.
template <class F>
std::string error_from(F&& f) {
    try {
        static_cast<void>(f());
    } catch (...) {
        return describe(std::current_exception());
    }
    return "none";
}

/// Let the loop turn until `condition` holds; a test that waits for nothing fails after 20 s.
template <class Condition>
Coro<bool> until(Condition& condition) {
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
        std::this_thread::yield();
        if (std::chrono::steady_clock::now() > give_up) co_return false;
        co_await sleep(0s);
    }
    co_return true;
}

}  // namespace asyncio::thread_tests
