// SPDX-License-Identifier: MIT
//
// FutureAwaiter: a coroutine waits until a future is done.
//
// A done future does not suspend. Otherwise a node in the awaiting frame joins the future's
// waiters, and the awaiting task is resumed through the ready queue. Cancelling the task cancels
// the future; the CancelledError then comes from there. If the future was done already when cancel
// came (its wake-up still queued), the task's own flag replaces the result (asyncio's rule).
#pragma once

#include <asyncio/coro/promise.hpp>
#include <asyncio/task/task_core.hpp>

namespace asyncio::task {

/// Waits for the end of a future, whatever it is; the part without the result's type.
class EndAwaiter : public coro::Wait {
  public:
    explicit EndAwaiter(Ref<FutureCore> future) noexcept : future_(std::move(future)) {}

    bool await_ready() const noexcept { return future_->done(); }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        return suspend(coro::driver_of(frame));
    }
    /// Throws CancelledError if this wait, not the future, was cancelled.
    void await_resume() {
        if (driver_ != nullptr || misuse_ != nullptr) [[likely]]
            finish();
    }

    bool cancel(const std::string& message) noexcept override { return future_->cancel(message); }
    coro::Driver* awaited_driver() noexcept override {
        return future_->done() ? nullptr : future_->driver();
    }
    const char* what() const noexcept override { return "future"; }

  protected:
    FutureCore& future() const noexcept { return *future_; }
    Ref<FutureCore> take_future() noexcept { return std::move(future_); }

  private:
    struct Node final : DoneWaiter {
        FutureCore* awaiter() const noexcept override;  // the task
    };

    bool suspend(coro::Driver& driver) noexcept;
    void finish();
    [[noreturn]] static void throw_misuse(const char* what);

    Ref<FutureCore> future_;
    coro::Driver* driver_ = nullptr;  // set when it suspended
    const char* misuse_ = nullptr;
    Node node_;
};

inline bool EndAwaiter::suspend(coro::Driver& driver) noexcept {
    if (future_.get() == TaskCore::from(&driver)) {
        misuse_ = "Task cannot await on itself";
        return false;
    }
    if (&future_->core().ready != &driver.ready_queue()) {
        misuse_ = "the awaited future is attached to a different loop";
        return false;
    }
    driver_ = &driver;
    node_.set_target(driver);
    future_->add_waiter(node_);
    driver.suspend_in(*this);
    return true;
}

inline void EndAwaiter::finish() {
    if (misuse_ != nullptr) throw_misuse(misuse_);
    if (!future_->cancelled())
        driver_->throw_if_cancelled();
    else
        driver_->forget_cancel();  // one CancelledError, the future's, with the first message
}

}  // namespace asyncio::task
