// SPDX-License-Identifier: MIT
#include <asyncio/loop/report_error.hpp>
#include <asyncio/sync/wait_queue.hpp>
#include <asyncio/task/task_core.hpp>

#include <stdexcept>
#include <string_view>

namespace asyncio::sync {

namespace {

/// "Lock" of "Lock.acquire()".
std::string kind_of(std::string_view what) { return std::string(what.substr(0, what.find('.'))); }

}  // namespace

bool Waiter::cancel(const std::string& message) noexcept {
    if (state_ != State::waiting) return false;
    queue_->remove(*this);
    state_ = State::cancelled;
    driver_->deliver_cancel(message);
    driver_->wake();
    return true;
}

/// In a queue that nobody has waited in yet, or of another loop.
bool Waiter::suspend_elsewhere(coro::Driver& driver, Runnable& target, WaitQueue& queue) noexcept {
    if (queue.bound().admits(driver)) return suspend(driver, target, queue);
    refuse(driver, queue);
    return false;
}

void Waiter::refuse(coro::Driver& driver, WaitQueue& queue) noexcept {
    driver_ = &driver;
    queue_ = &queue;
    state_ = State::foreign;
}

void Waiter::throw_refused() {
    if (state_ == State::foreign) queue_->bound().throw_foreign(what(), *driver_);
    driver_->throw_if_cancelled();
    throw std::logic_error(kind_of(what()) + " was destroyed while this task was waiting for it");
}

std::string Waiter::task_name() const { return task::TaskCore::from(driver_)->name(); }

std::size_t WaitQueue::size() const noexcept {
    std::size_t count = 0;
    for (const Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next_) ++count;
    return count;
}

void WaitQueue::wait_again(Waiter& waiter) noexcept {
    waiter.state_ = Waiter::State::waiting;
    const bool before = next_to_wake_ == nullptr ||
                        static_cast<std::int32_t>(waiter.ticket_ - next_to_wake_->ticket_) < 0;
    if (before) next_to_wake_ = &waiter;
}

void WaitQueue::release_all() noexcept {
    Waiter* waiter = first_;
    first_ = last_ = next_to_wake_ = nullptr;
    while (waiter != nullptr) {
        Waiter* next = waiter->next_;
        wake(*waiter, Waiter::State::released);
        waiter = next;
    }
}

void WaitQueue::forget_woken() noexcept {
    while (Waiter* waiter = first_) {
        remove(*waiter);
        waiter->state_ = Waiter::State::released;
    }
}

void WaitQueue::orphan_all() noexcept {
    const EventLoop* loop = bound_.loop();
    if (loop != nullptr && !loop->is_closed()) report();
    while (Waiter* waiter = first_) {
        remove(*waiter);
        if (waiter->state_ == Waiter::State::waiting)
            wake(*waiter, Waiter::State::orphaned);
        else
            waiter->state_ = Waiter::State::orphaned;
    }
}

void WaitQueue::report() const noexcept {
    const auto fill = [this](ExceptionContext& context) {
        context.message =
            kind_of(first_->what()) + " was destroyed while tasks were waiting for it";
        for (const Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next_)
            context.task += (context.task.empty() ? "" : ", ") + waiter->task_name();
    };
    loop::report_error(*bound_.loop(), "a primitive was destroyed while tasks were waiting for it",
                       nullptr, fill);
}

}  // namespace asyncio::sync
