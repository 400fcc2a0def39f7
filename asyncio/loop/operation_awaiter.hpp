// SPDX-License-Identifier: MIT
//
// OperationAwaiter: one kernel operation that completes once, awaited.
//
//      await           completion                      resumed
//   idle ---> waiting ------------------> woken ----------------> done
//                '---cancel()---> cancelling ---completion---^
//
// A cancelled task is resumed only when the kernel has let go of the operation and of the memory
// it points to. await_resume gives the result (>= 0 or -errno) or throws CancelledError; what a
// successful operation brought although it was cancelled is the owner's to undo. Destroying a
// waiting frame takes the operation back first (Kernel::reclaim).
#pragma once

#include <asyncio/coro/promise.hpp>
#include <asyncio/kernel/operation.hpp>
#include <asyncio/loop/event_loop.hpp>

namespace asyncio::loop {

class OperationAwaiter final : public coro::Wait {
  public:
    /// `name`: for stack dumps. `fill_in(operation)` says what is asked.
    template <class FillIn>
    OperationAwaiter(EventLoop& loop, kernel::Opcode code, const char* name,
                     FillIn&& fill_in) noexcept
        : operation_(code, &on_completion), loop_(loop), name_(name) {
        operation_.owner = this;
        fill_in(operation_);
    }

    bool await_ready() const noexcept { return false; }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        return submit(coro::driver_of(frame));
    }
    int await_resume() {
        if (driver_ != nullptr) driver_->throw_if_cancelled();
        return result_;
    }

    bool cancel(const std::string& message) noexcept override;
    void dropped() noexcept override;
    const char* what() const noexcept override { return name_; }

  private:
    static void on_completion(kernel::Operation& operation, const kernel::Completion& completion);
    bool submit(coro::Driver& driver) noexcept;

    kernel::Operation operation_;
    EventLoop& loop_;
    const char* name_;
    coro::Driver* driver_ = nullptr;
    int result_ = 0;
};

/// co_await Readiness(fd, POLLIN): the events that are ready on `fd`, or -errno. One shot: nothing
/// of it stays in the kernel.
class [[nodiscard]] Readiness : public coro::DriverAwaitable {
  public:
    Readiness(int fd, unsigned events) noexcept : fd_(fd), events_(events) {}
    OperationAwaiter operator co_await() const {
        return OperationAwaiter(get_running_loop(), kernel::Opcode::poll, "readiness",
                                [this](kernel::Operation& operation) {
                                    operation.fd = fd_;
                                    operation.events = events_;
                                });
    }

  private:
    int fd_;
    unsigned events_;
};

}  // namespace asyncio::loop
