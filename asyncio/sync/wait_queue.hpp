// SPDX-License-Identifier: MIT
//
// WaitQueue: the tasks that wait for a lock, a queue, a barrier, in the order they came.
//
// The waiters live in the awaiting frames: waiting allocates nothing; joining, waking and leaving
// are O(1). A woken waiter stays in the list until its task runs, as in asyncio: so "somebody is on
// its way" is seen by newcomers, who must not overtake it, and a waiter that is cancelled on its
// way can pass on what woke it.
//
//                  wake_next()               its task runs
//      waiting -----------------> woken ----------------------> done
//       |   ^                       |  '-- (queues) finds nothing: waits again, in its old place
//       |   '-----------------------'
//       |--- cancel() -----------> cancelled     out of the list at once
//       |--- release_all() ------> released      out of the list at once, nothing more to settle
//       '--- ~WaitQueue() -------> orphaned      also from woken; the await throws std::logic_error
//      idle -- other loop -------> foreign       never in the list; the await throws
//      std::logic_error
//
// The list is [first_ ... last_]; next_to_wake_ is its first waiting element, or one before it
// that is woken, or null if none waits. Destroying a queue somebody waits in is a fault of the
// program: it is reported to the loop's exception handler with the tasks' names (unless the loop
// is closed, when everything dies in any order), and no waiter is left with a dangling pointer.
//
// Threads: the loop's.
#pragma once

#include <asyncio/coro/promise.hpp>
#include <asyncio/sync/loop_bound.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace asyncio::sync {

class WaitQueue;

/// One wait; what the awaiters of this room derive from. A cancelled waiter must not touch the
/// object it waited for any more: that may be gone.
class Waiter : public coro::Wait {
  public:
    bool cancel(const std::string& message) noexcept override;
    void dropped() noexcept final {
        if (queued()) abandon();
    }

    std::string task_name() const;

  protected:
    enum class State : std::uint8_t {
        idle,
        waiting,
        woken,
        released,
        cancelled,
        orphaned,
        foreign,
        done
    };

    Waiter() noexcept {}
    ~Waiter() = default;

    bool suspended() const noexcept { return state_ != State::idle; }

    /// The frame dies while this is in a queue, waiting or woken: leave it, and pass on what only
    /// the awaiter knows has to be passed on.
    virtual void abandon() noexcept = 0;

    /// For await_suspend: wait in `queue`; when woken, `target` becomes ready. False if the queue
    /// is of another loop: leave() will throw.
    bool suspend(coro::Driver& driver, Runnable& target, WaitQueue& queue) noexcept;

    /// For await_resume: out of the queue. True if woken, false if cancelled while waiting; the
    /// CancelledError is the caller's to throw. std::logic_error if the queue died or was foreign.
    bool leave();

    /// The parts of suspend(), for those who wait in two places.
    void join(WaitQueue& queue, Runnable& target) noexcept;
    void refuse(coro::Driver& driver, WaitQueue& queue) noexcept;
    [[noreturn]] void throw_refused();

    coro::Driver* driver_;  // set when it suspended
    State state_ = State::idle;

  private:
    friend class WaitQueue;

    bool queued() const noexcept { return state_ == State::waiting || state_ == State::woken; }
    bool suspend_elsewhere(coro::Driver& driver, Runnable& target, WaitQueue& queue) noexcept;

    std::uint32_t ticket_;  // from here on set by joining a queue
    Runnable* target_;
    WaitQueue* queue_;
    Waiter* next_;
    Waiter* previous_;
};

class WaitQueue {
  public:
    explicit WaitQueue(LoopBound& bound) noexcept : bound_(bound) {}
    WaitQueue(const WaitQueue&) = delete;
    WaitQueue& operator=(const WaitQueue&) = delete;
    ~WaitQueue() {
        if (!empty()) [[unlikely]]
            orphan_all();
    }

    /// Nobody is here, neither waiting nor woken.
    bool empty() const noexcept { return first_ == nullptr; }
    std::size_t size() const noexcept;

    /// Wake the first that waits; false if none does.
    bool wake_next() noexcept {
        Waiter* waiter = first_waiting();
        if (waiter == nullptr) return false;
        next_to_wake_ = waiter->next_;
        wake(*waiter, Waiter::State::woken);
        return true;
    }
    void wake_all() noexcept {
        while (wake_next()) {
        }
    }
    /// Wake all; they are out of the queue and need it no more.
    void release_all() noexcept;

    /// Let go of all, who are woken: they need the queue no more.
    void forget_woken() noexcept;

    /// The first that waits, or null.
    Waiter* first_waiting() noexcept {
        while (next_to_wake_ != nullptr && next_to_wake_->state_ == Waiter::State::woken)
            [[unlikely]]
            next_to_wake_ = next_to_wake_->next_;
        return next_to_wake_;
    }
    /// A woken waiter found nothing: it waits again, in its old place.
    void wait_again(Waiter& waiter) noexcept;

    void push_back(Waiter& waiter) noexcept {
        waiter.state_ = Waiter::State::waiting;
        waiter.queue_ = this;
        waiter.ticket_ = tickets_++;
        waiter.next_ = nullptr;
        waiter.previous_ = last_;
        if (last_ == nullptr)
            first_ = &waiter;
        else
            last_->next_ = &waiter;
        last_ = &waiter;
        if (next_to_wake_ == nullptr) next_to_wake_ = &waiter;
    }
    void remove(Waiter& waiter) noexcept {
        if (next_to_wake_ == &waiter) next_to_wake_ = waiter.next_;
        (waiter.previous_ == nullptr ? first_ : waiter.previous_->next_) = waiter.next_;
        (waiter.next_ == nullptr ? last_ : waiter.next_->previous_) = waiter.previous_;
    }
    Waiter* front() const noexcept { return first_; }
    Waiter* after(Waiter& waiter) const noexcept { return waiter.next_; }

    LoopBound& bound() noexcept { return bound_; }

  private:
    void wake(Waiter& waiter, Waiter::State state) noexcept {
        waiter.state_ = state;
        bound_.ready().push(*waiter.target_);
    }
    void orphan_all() noexcept;
    void report() const noexcept;

    LoopBound& bound_;
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
    Waiter* next_to_wake_ = nullptr;
    std::uint32_t tickets_ = 0;
};

inline void Waiter::join(WaitQueue& queue, Runnable& target) noexcept {
    target_ = &target;
    queue.push_back(*this);
}

inline bool Waiter::suspend(coro::Driver& driver, Runnable& target, WaitQueue& queue) noexcept {
    if (!queue.bound().is_bound_to(driver)) [[unlikely]]
        return suspend_elsewhere(driver, target, queue);
    driver_ = &driver;
    join(queue, target);
    driver.suspend_in(*this);
    return true;
}

inline bool Waiter::leave() {
    if (state_ == State::woken) [[likely]] {
        queue_->remove(*this);
        state_ = State::done;
        return true;
    }
    if (state_ == State::released) return true;
    if (state_ != State::cancelled) throw_refused();
    return false;
}

}  // namespace asyncio::sync
