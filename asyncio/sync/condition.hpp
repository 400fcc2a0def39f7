// SPDX-License-Identifier: MIT
//
// Condition: wait, under a lock, until somebody says that something changed.
//
//     asyncio::Condition cond(lock);               // or Condition cond; with a lock of its own
//     auto held = co_await cond.scoped();          // holds the lock
//     co_await cond.wait_for([&] { return !jobs.empty(); });
//     ...
//     cond.notify();                               // elsewhere, holding the lock
//
// wait() lets the lock go, waits for a notification, and holds the lock again when it returns or
// throws, however often it is cancelled meanwhile; the last CancelledError is the one thrown.
//
//                    notify()                its turn, the lock is free
//      waiting ---------------------> turning ------------------------------> holding: it returns
//         |          cancel()            |  the lock is taken                       ^
//         '------------------------------'---------> queued at the lock ------------'
//
// "Turning" is a place in the ready queue: the turn takes the lock, if it can, and resumes the task
// in the same breath, else it queues at the lock without resuming. Who leaves by an exception may
// have been notified; it notifies another one instead. So a wake-up may be spurious: check what you
// wait for in a loop, or use wait_for().
//
// The lock must outlive its conditions. Threads: the loop's.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/sync/lock.hpp>
#include <asyncio/sync/wait_queue.hpp>

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

namespace asyncio {

class Condition;

namespace sync {

class ConditionAwaiter final : public Waiter,
                               private Runnable,
                               public IntrusiveListNode<ConditionAwaiter> {
  public:
    explicit ConditionAwaiter(Condition& condition) noexcept;

    bool await_ready() const noexcept;  // true: the lock is not held, await_resume throws
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        return suspend_in_condition(frame.promise().driver());
    }
    bool await_resume();

    bool cancel(const std::string& message) noexcept override;
    const char* what() const noexcept override { return "Condition.wait()"; }

  private:
    friend class asyncio::Condition;
    enum class Phase : std::uint8_t { waiting, turning, at_lock, holding };

    static void take_turn(Runnable& runnable, Turn turn);
    bool suspend_in_condition(coro::Driver& driver) noexcept;
    void turn();
    void notify_another() noexcept;
    void abandon() noexcept override;

    Condition* condition_;  // null once that is gone
    Lock* lock_;            // null once that is gone
    Phase phase_ = Phase::waiting;
    bool orphaned_ = false;  // the condition died too early
};

class [[nodiscard]] ConditionWait : public coro::DriverAwaitable {
  public:
    explicit ConditionWait(Condition& condition) noexcept : condition_(&condition) {}
    ConditionAwaiter operator co_await() const noexcept { return ConditionAwaiter(*condition_); }

  private:
    Condition* condition_;
};

}  // namespace sync

class Condition {
  public:
    Condition() noexcept : Condition(own_) {}
    explicit Condition(Lock& lock) noexcept : lock_(lock), waiters_(bound_) {}
    ~Condition();

    /// co_await it: true. std::logic_error if the lock is not held.
    sync::ConditionWait wait() noexcept { return sync::ConditionWait(*this); }

    /// Wait until predicate() is true; its value. Checked first: if it is true at once the lock is
    /// not needed.
    template <class F>
    Coro<std::decay_t<std::invoke_result_t<F&>>> wait_for(F predicate) {
        auto result = predicate();
        while (!result) {
            co_await wait();
            result = predicate();
        }
        co_return result;
    }

    /// Wake up to n waiters, who run when the lock is released. Lost if nobody waits.
    /// std::logic_error if the lock is not held.
    void notify(std::size_t n = 1);
    void notify_all() { notify(SIZE_MAX); }

    // The lock's.
    auto acquire() noexcept { return lock_.acquire(); }
    auto scoped() noexcept { return lock_.scoped(); }
    void release() { lock_.release(); }
    bool locked() const noexcept { return lock_.locked(); }

    // For with().
    Coro<> aenter();
    Coro<bool> aexit(std::exception_ptr error);

    /// One line for logs.
    std::string description() const;

  private:
    friend class sync::ConditionAwaiter;

    Lock own_;
    Lock& lock_;
    sync::LoopBound bound_;
    sync::WaitQueue waiters_;
    IntrusiveList<sync::ConditionAwaiter> leaving_;  // notified or cancelled, lock not held yet
};

}  // namespace asyncio
