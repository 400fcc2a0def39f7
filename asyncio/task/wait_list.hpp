// SPDX-License-Identifier: MIT
//
// WaitList: tasks waiting for one event, first come first woken.
//
// The waiters live in the awaiting frames: waiting allocates nothing, leaving (by a wake or by a
// cancel) is O(1). A woken waiter is out of the list before it resumes. The list says only "it
// happened"; what happened stands in the object that owns the list. If that object dies first, its
// waiters are woken (and must not touch it).
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/coro/promise.hpp>

namespace asyncio::task {

class WaitList;

/// Suspends until woken. Awaited by other awaitables rather than by users.
class ListWait : public coro::Wait, public IntrusiveListNode<ListWait> {
  public:
    void suspend(coro::Driver& driver, IntrusiveList<ListWait>& list) noexcept {
        driver_ = &driver;
        list.push_back(*this);
        driver.suspend_in(*this);
    }
    /// Nothing to wait for but the next turn.
    void suspend_for_a_turn(coro::Driver& driver) noexcept {
        driver_ = &driver;
        driver.suspend_in(*this);
        driver.wake();
    }
    /// Throws CancelledError if cancelled; to be called from await_resume.
    void resume() {
        if (driver_ != nullptr) driver_->throw_if_cancelled();
    }
    void wake() noexcept {
        unlink();
        driver_->wake();
    }
    bool cancel(const std::string& message) noexcept override {
        if (!linked()) return false;
        driver_->deliver_cancel(message);
        wake();
        return true;
    }
    const char* what() const noexcept override { return "event"; }

  protected:
    coro::Driver* driver_ = nullptr;  // set when it suspended
};

class WaitList {
  public:
    ~WaitList() { wake_all(); }

    bool empty() const noexcept { return waits_.empty(); }
    void wake_all() noexcept {
        while (!waits_.empty()) waits_.front().wake();
    }
    IntrusiveList<ListWait>& waits() noexcept { return waits_; }

  private:
    IntrusiveList<ListWait> waits_;
};

class ListAwaiter final : public ListWait {
  public:
    explicit ListAwaiter(WaitList& list) noexcept : list_(list) {}
    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) noexcept {
        suspend(coro::driver_of(frame), list_.waits());
    }
    void await_resume() { resume(); }

  private:
    WaitList& list_;
};

/// co_await NextWake(list): suspend until the list is woken next.
class [[nodiscard]] NextWake : public coro::DriverAwaitable {
  public:
    explicit NextWake(WaitList& list) noexcept : list_(list) {}
    ListAwaiter operator co_await() const noexcept { return ListAwaiter(list_); }

  private:
    WaitList& list_;
};

}  // namespace asyncio::task
