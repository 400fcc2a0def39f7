// SPDX-License-Identifier: MIT
//
// Semaphore: at most n at a time; first come, first served.
//
//     asyncio::Semaphore slots(10);
//     { auto slot = co_await slots.scoped(); co_await fetch(url); }
//
// release() hands its permit to the first waiter at once: the permit is counted out before that
// task runs, so nobody can take it in between. While woken tasks are on their way newcomers queue,
// even if permits are left; whoever runs next serves them. A waiter that is cancelled on its way
// gives its permit back.
//
// A Semaphore may be released more often than acquired; a BoundedSemaphore refuses
// (std::invalid_argument).
//
// Threads: the loop's. Cancellation: a cancelled acquire() holds nothing.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/sync/scoped.hpp>
#include <asyncio/sync/wait_queue.hpp>

#include <cstddef>
#include <string>

namespace asyncio {

namespace sync {
class SemaphoreAwaiter;
}

class Semaphore {
  public:
    /// std::invalid_argument if negative.
    explicit Semaphore(std::ptrdiff_t value = 1) : Semaphore(value, PTRDIFF_MAX) {}

    /// co_await it: true.
    sync::Acquire<Semaphore, sync::SemaphoreAwaiter> acquire() noexcept;
    /// The same; gives a Scoped<Semaphore> that releases.
    sync::Acquire<Semaphore, sync::ScopedAwaiter<Semaphore, sync::SemaphoreAwaiter>>
    scoped() noexcept;
    void release() {
        if (value_ >= limit_) [[unlikely]]
            throw_released_too_often();
        ++value_;
        serve_one();
    }
    /// True if acquire() would have to wait.
    bool locked() const noexcept { return value_ == 0 || !waiters_.empty(); }

    // For with().
    Coro<> aenter();
    Coro<bool> aexit(std::exception_ptr);

    /// One line for logs.
    std::string description() const;

  protected:
    Semaphore(std::ptrdiff_t value, std::ptrdiff_t limit);

  private:
    friend class Scoped<Semaphore>;
    friend class sync::SemaphoreAwaiter;

    bool try_acquire() noexcept {
        if (locked()) return false;
        --value_;
        return true;
    }
    bool serve_one() noexcept {
        if (!waiters_.wake_next()) return false;
        --value_;
        return true;
    }
    void serve() noexcept {
        while (value_ > 0 && serve_one()) {
        }
    }
    [[noreturn]] static void throw_released_too_often();

    sync::LoopBound bound_;
    sync::WaitQueue waiters_;
    std::ptrdiff_t value_;
    std::ptrdiff_t limit_;
    sync::Holders<Semaphore> holders_;
};

/// A Semaphore that cannot hold more than it began with.
class BoundedSemaphore : public Semaphore {
  public:
    explicit BoundedSemaphore(std::ptrdiff_t value = 1) : Semaphore(value, value) {}
};

namespace sync {

class SemaphoreAwaiter : public Waiter {
  public:
    explicit SemaphoreAwaiter(Semaphore& semaphore) noexcept : semaphore_(semaphore) {}

    bool await_ready() noexcept { return semaphore_.try_acquire(); }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        coro::Driver& driver = frame.promise().driver();
        return suspend(driver, driver, semaphore_.waiters_);
    }
    bool await_resume() {
        if (suspended()) finish();
        return true;
    }
    const char* what() const noexcept override { return "Semaphore.acquire()"; }

  protected:
    Semaphore& acquired() const noexcept { return semaphore_; }

  private:
    void finish();
    void abandon() noexcept override;

    Semaphore& semaphore_;
};

}  // namespace sync

inline sync::Acquire<Semaphore, sync::SemaphoreAwaiter> Semaphore::acquire() noexcept {
    return sync::Acquire<Semaphore, sync::SemaphoreAwaiter>(*this);
}
inline sync::Acquire<Semaphore, sync::ScopedAwaiter<Semaphore, sync::SemaphoreAwaiter>>
Semaphore::scoped() noexcept {
    return sync::Acquire<Semaphore, sync::ScopedAwaiter<Semaphore, sync::SemaphoreAwaiter>>(*this);
}

}  // namespace asyncio
