// SPDX-License-Identifier: MIT
//
// Lock: at most one task at a time; first come, first served.
//
//     asyncio::Lock lock;
//     { auto held = co_await lock.scoped(); ... }        // or acquire() and release()
//
//      free --acquire()--> locked --release(), nobody waits--> free
//                            | release(), somebody waits: the first is woken
//                            v
//                         passing --the woken task runs--> locked
//                            | it was cancelled: the next is woken, or
//                            '--------------------------> free
//
// While the lock is passing, locked() is false but nobody can overtake: newcomers queue. Acquiring
// a free lock does not suspend. No owner: any task may release; acquiring twice in one task waits
// forever. Give one to each thing that must not be interleaved across an await; code without an
// await in it needs none.
//
// Threads: the loop's. Cancellation: a cancelled acquire() holds nothing and blocks nobody.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/sync/scoped.hpp>
#include <asyncio/sync/wait_queue.hpp>

#include <string>

namespace asyncio {

namespace sync {
class LockAwaiter;
class ConditionAwaiter;
}  // namespace sync

class Lock {
  public:
    using Awaiter = sync::LockAwaiter;

    Lock() noexcept : waiters_(bound_) {}

    /// co_await it: true. std::logic_error if it would have to wait for another loop's tasks.
    sync::Acquire<Lock, sync::LockAwaiter> acquire() noexcept;
    /// The same; gives a Scoped<Lock> that releases.
    sync::Acquire<Lock, sync::ScopedAwaiter<Lock, sync::LockAwaiter>> scoped() noexcept;
    /// std::logic_error if not locked.
    void release() {
        if (!locked_) [[unlikely]]
            throw_not_acquired();
        locked_ = false;
        waiters_.wake_next();
    }
    bool locked() const noexcept { return locked_; }

    // For with().
    Coro<> aenter();
    Coro<bool> aexit(std::exception_ptr);

    /// One line for logs.
    std::string description() const;

  private:
    friend class Scoped<Lock>;
    friend class sync::LockAwaiter;
    friend class sync::ConditionAwaiter;

    bool try_acquire() noexcept {
        if (locked_ || !waiters_.empty()) return false;
        locked_ = true;
        return true;
    }
    /// A woken waiter will not take the lock.
    void pass_on() noexcept {
        if (!locked_) waiters_.wake_next();
    }
    [[noreturn]] static void throw_not_acquired();

    sync::LoopBound bound_;
    sync::WaitQueue waiters_;
    bool locked_ = false;
    sync::Holders<Lock> holders_;
};

namespace sync {

class LockAwaiter : public Waiter {
  public:
    explicit LockAwaiter(Lock& lock) noexcept : lock_(lock) {}

    bool await_ready() noexcept { return lock_.try_acquire(); }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        coro::Driver& driver = frame.promise().driver();
        return suspend(driver, driver, lock_.waiters_);
    }
    bool await_resume() {
        if (suspended()) finish();
        return true;
    }
    const char* what() const noexcept override { return "Lock.acquire()"; }

  protected:
    Lock& acquired() const noexcept { return lock_; }

  private:
    void finish();
    void abandon() noexcept override;

    Lock& lock_;
};

}  // namespace sync

inline sync::Acquire<Lock, sync::LockAwaiter> Lock::acquire() noexcept {
    return sync::Acquire<Lock, sync::LockAwaiter>(*this);
}
inline sync::Acquire<Lock, sync::ScopedAwaiter<Lock, sync::LockAwaiter>> Lock::scoped() noexcept {
    return sync::Acquire<Lock, sync::ScopedAwaiter<Lock, sync::LockAwaiter>>(*this);
}

}  // namespace asyncio
