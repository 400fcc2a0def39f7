// SPDX-License-Identifier: MIT
#include <asyncio/os/simulated.hpp>
#include <asyncio/thread/concurrent_core.hpp>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <utility>

namespace asyncio::thread {

namespace {

/// A longer wait is one of this length: time points must not overflow.
constexpr Duration kLongestWait = std::chrono::hours(24 * 365);

}  // namespace

struct ConcurrentCore::Waiter : IntrusiveListNode<Waiter> {
    std::condition_variable finished;
};

ConcurrentCore::ConcurrentCore() noexcept = default;
ConcurrentCore::~ConcurrentCore() = default;

ConcurrentCore::State ConcurrentCore::state() const noexcept {
    return std::atomic_ref(state_).load(std::memory_order_acquire);
}

bool ConcurrentCore::cancel() {
    return finish(State::cancelled, State::pending) || state() == State::cancelled;
}

bool ConcurrentCore::start() noexcept {
    const std::lock_guard lock(mutex_);
    if (state() != State::pending) return false;
    std::atomic_ref(state_).store(State::running, std::memory_order_release);
    return true;
}

bool ConcurrentCore::complete(State final) {
    assert(final >= State::result);
    return finish(final, State::running);
}

/// To `final`, unless it is beyond `at_most` already.
bool ConcurrentCore::finish(State final, State at_most) {
    std::vector<Callback> callbacks;
    {
        const std::lock_guard lock(mutex_);
        if (state() > at_most) return false;
        std::atomic_ref(state_).store(final, std::memory_order_release);
        callbacks.swap(callbacks_);
        // Under the lock: a waiter may be the last to hold this object.
        while (!waiters_.empty()) waiters_.pop_front().finished.notify_one();
    }
    if (final == State::cancelled) dropped();
    for (Callback& callback : callbacks) callback();
    return true;
}

bool ConcurrentCore::wait(Option<Duration> limit) {
    if (!done() && os::simulated_system != nullptr) os::simulated_system->run_jobs();
    std::unique_lock lock(mutex_);
    if (done()) return true;
    Waiter waiter;
    waiters_.push_back(waiter);
    const auto finished = [this] { return done(); };
    if (limit)
        waiter.finished.wait_for(lock, std::min(*limit, kLongestWait), finished);
    else
        waiter.finished.wait(lock, finished);
    waiter.unlink();
    return done();
}

void ConcurrentCore::add_done_callback(Callback callback) {
    {
        const std::lock_guard lock(mutex_);
        if (!done()) {
            callbacks_.push_back(std::move(callback));
            return;
        }
    }
    callback();
}

}  // namespace asyncio::thread
