// SPDX-License-Identifier: MIT
//
// QueueCore: who waits for a queue, and when they are woken; everything but the items.
//
// The rules are asyncio's. An item that enters wakes one getter, an item that leaves wakes one
// putter, in the order they came; but neither item nor room is set aside for them: what the queue
// holds, anybody may take, and qsize() tells the truth. A woken getter that finds nothing goes on
// waiting, in its old place. One that is cancelled on its way leaves the item, and wakes the next.
//
// A woken wait is a turn in the ready queue (take_turn): it looks whether it can go on; only then
// the task is resumed, in the same breath. So finding nothing costs no switch, and between the look
// and the taking nobody else runs.
//
// Threads: the loop's.
#pragma once

#include <asyncio/sync/wait_queue.hpp>

#include <cassert>
#include <cstddef>
#include <new>
#include <stdexcept>
#include <string>

namespace asyncio {

/// get_nowait() on an empty queue.
class QueueEmpty final : public std::runtime_error {
  public:
    QueueEmpty() : std::runtime_error("the queue is empty") {}
};

/// put_nowait() on a full queue.
class QueueFull final : public std::runtime_error {
  public:
    QueueFull() : std::runtime_error("the queue is full") {}
};

/// The queue was shut down: nothing can be put, and nothing is left to get.
class QueueShutDown final : public std::runtime_error {
  public:
    QueueShutDown() : std::runtime_error("the queue was shut down") {}
};

namespace sync {

class QueueCore;

/// A get() or put() that has to wait.
class QueueWaiter final : public Waiter, private Runnable {
  public:
    enum class Side : bool { get, put };

    QueueWaiter(QueueCore& core, Side side) noexcept
        : Runnable(&take_turn), core_(&core), side_(side) {}

    bool suspend_in_queue(coro::Driver& driver) noexcept;
    /// After a suspension: out of the queue. Throws if it was cancelled or the queue is gone.
    void finish();
    const char* what() const noexcept override {
        return side_ == Side::get ? "Queue.get()" : "Queue.put()";
    }

  private:
    friend class QueueCore;

    static void take_turn(Runnable& runnable, Turn turn);
    bool ready() const noexcept;
    void abandon() noexcept override;
    WaitQueue& waiters() const noexcept;

    QueueCore* core_;  // null once the queue is gone, shut down before
    const Side side_;
};

/// What the awaiters of get() and put() share. The waiter is made only by those who have to wait:
/// most do not, and a waiter's stores would be half of what they do.
class QueueAwaiter {
  public:
    QueueAwaiter(const QueueAwaiter&) = delete;
    QueueAwaiter& operator=(const QueueAwaiter&) = delete;

  protected:
    QueueAwaiter() noexcept {}

    bool wait(QueueCore& core, QueueWaiter::Side side, coro::Driver& driver) noexcept {
        ::new (static_cast<void*>(&waiter_)) QueueWaiter(core, side);
        waited_ = true;
        return waiter_.suspend_in_queue(driver);
    }
    void finish() {
        if (waited_) waiter_.finish();
    }

  private:
    union {
        QueueWaiter waiter_;  // if waited_
    };
    bool waited_ = false;
};

/// Waits until all items are done.
class JoinAwaiter final : public Waiter {
  public:
    explicit JoinAwaiter(QueueCore& core) noexcept : core_(core) {}

    bool await_ready() const noexcept;
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept;
    void await_resume() {
        if (!suspended()) return;
        leave();
        driver_->throw_if_cancelled();
    }
    const char* what() const noexcept override { return "Queue.join()"; }

  private:
    void abandon() noexcept override;

    QueueCore& core_;
};

class [[nodiscard]] Join : public coro::DriverAwaitable {
  public:
    explicit Join(QueueCore& core) noexcept : core_(&core) {}
    JoinAwaiter operator co_await() const noexcept { return JoinAwaiter(*core_); }

  private:
    QueueCore* core_;
};

class QueueCore {
  public:
    std::ptrdiff_t maxsize() const noexcept { return maxsize_; }
    std::size_t qsize() const noexcept { return entered_ - left_; }
    bool empty() const noexcept { return entered_ == left_; }
    /// Never true if maxsize() <= 0.
    bool full() const noexcept { return qsize() >= limit_; }
    /// True if get() or put() would not wait; they may throw QueueShutDown.
    bool can_get() const noexcept { return !empty() || shut_down_; }
    bool can_put() const noexcept { return !full() || shut_down_; }

    /// One item that was got is dealt with. std::invalid_argument if called more often than items
    /// were put.
    void task_done();
    /// co_await it: returns when task_done() was called for each item that was put.
    Join join() noexcept { return Join(*this); }

    /// One line for logs.
    std::string description() const;

  protected:
    explicit QueueCore(std::ptrdiff_t maxsize) noexcept;
    ~QueueCore();

    bool is_shut_down() const noexcept { return shut_down_; }
    void check_can_put() const {
        if (shut_down_ || full()) [[unlikely]]
            throw_cannot_put();
    }
    /// For those who waited for room, or found it.
    void check_not_shut_down() const {
        assert(shut_down_ || !full());
        if (shut_down_) [[unlikely]]
            throw_cannot_put();
    }
    void check_can_get() const {
        if (empty()) [[unlikely]]
            throw_cannot_get();
    }
    void entered() noexcept {
        ++entered_;
        getters_.wake_next();
    }
    void left() noexcept {
        ++left_;
        putters_.wake_next();
    }
    /// Who was woken for room could not use it.
    void stayed_out() noexcept { putters_.wake_next(); }
    void shut_down(bool discarded_all) noexcept;

  private:
    friend class QueueWaiter;
    friend class JoinAwaiter;

    [[noreturn]] void throw_cannot_put() const;
    [[noreturn]] void throw_cannot_get() const;

    std::size_t unfinished() const noexcept { return entered_ - done_; }

    // How many items so far; each call counts one of them, and no sum is kept beside.
    std::size_t entered_ = 0;
    std::size_t left_ = 0;
    std::size_t done_ = 0;
    std::size_t limit_;
    std::ptrdiff_t maxsize_;
    bool shut_down_ = false;
    LoopBound bound_;
    WaitQueue getters_;
    WaitQueue putters_;
    WaitQueue joiners_;
};

inline bool QueueWaiter::ready() const noexcept {
    return side_ == Side::get ? core_->can_get() : core_->can_put();
}
inline WaitQueue& QueueWaiter::waiters() const noexcept {
    return side_ == Side::get ? core_->getters_ : core_->putters_;
}
inline bool QueueWaiter::suspend_in_queue(coro::Driver& driver) noexcept {
    return suspend(driver, *this, waiters());
}

inline void JoinAwaiter::abandon() noexcept { core_.joiners_.remove(*this); }
inline bool JoinAwaiter::await_ready() const noexcept { return core_.unfinished() == 0; }
template <class P>
bool JoinAwaiter::await_suspend(std::coroutine_handle<P> frame) noexcept {
    coro::Driver& driver = frame.promise().driver();
    return suspend(driver, driver, core_.joiners_);
}

}  // namespace sync
}  // namespace asyncio
