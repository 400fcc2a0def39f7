// SPDX-License-Identifier: MIT
#include <asyncio/sync/condition.hpp>

#include <stdexcept>

namespace asyncio {

Condition::~Condition() {
    const bool own = &lock_ == &own_;
    const auto leave_alone = [own](sync::ConditionAwaiter& awaiter) {
        awaiter.condition_ = nullptr;
        if (own) awaiter.lock_ = nullptr;
    };
    leaving_.for_each([&](sync::ConditionAwaiter& awaiter) {
        leave_alone(awaiter);
        awaiter.orphaned_ = own;
    });
    for (sync::Waiter* waiter = waiters_.front(); waiter != nullptr;
         waiter = waiters_.after(*waiter)) {
        auto& awaiter = static_cast<sync::ConditionAwaiter&>(*waiter);
        leave_alone(awaiter);
        awaiter.orphaned_ = true;
    }
}

void Condition::notify(std::size_t n) {
    if (!locked()) throw std::logic_error("cannot notify on un-acquired lock");
    while (n > 0 && waiters_.wake_next()) --n;
}

Coro<> Condition::aenter() { co_await acquire(); }

Coro<bool> Condition::aexit(std::exception_ptr) {
    release();
    co_return false;
}

std::string Condition::description() const {
    std::string text = locked() ? "<Condition locked" : "<Condition unlocked";
    if (!waiters_.empty()) text += ", waiters: " + std::to_string(waiters_.size());
    return text + ">";
}

namespace sync {

ConditionAwaiter::ConditionAwaiter(Condition& condition) noexcept
    : Runnable(&take_turn), condition_(&condition), lock_(&condition.lock_) {}

void ConditionAwaiter::abandon() noexcept {
    const bool woken = state_ == State::woken;
    if (phase_ == Phase::at_lock) {
        lock_->waiters_.remove(*this);
        if (woken) lock_->pass_on();
        notify_another();
    } else {
        condition_->waiters_.remove(*this);
        if (woken) notify_another();
    }
}

bool ConditionAwaiter::await_ready() const noexcept { return !lock_->locked(); }

bool ConditionAwaiter::suspend_in_condition(coro::Driver& driver) noexcept {
    if (!lock_->bound_.admits(driver)) {
        refuse(driver, lock_->waiters_);
        return false;
    }
    if (!suspend(driver, *this, condition_->waiters_)) return false;
    lock_->release();
    return true;
}

void ConditionAwaiter::take_turn(Runnable& runnable, Turn turn) {
    if (turn == Turn::run) static_cast<ConditionAwaiter&>(runnable).turn();
}

/// Notified, cancelled or orphaned; now for the lock.
void ConditionAwaiter::turn() {
    if (state_ == State::woken) {
        leave();
        condition_->leaving_.push_back(*this);
    }
    if (lock_ == nullptr || lock_->try_acquire()) {
        phase_ = Phase::holding;
        driver_->run();  // may be the end of this object
        return;
    }
    phase_ = Phase::at_lock;
    join(lock_->waiters_, *driver_);
}

bool ConditionAwaiter::cancel(const std::string& message) noexcept {
    const bool in_condition = phase_ == Phase::waiting;
    if (in_condition && state_ == State::woken) return false;  // its turn comes
    if (in_condition && state_ == State::waiting) {
        condition_->waiters_.remove(*this);
        state_ = State::cancelled;
        phase_ = Phase::turning;
        condition_->leaving_.push_back(*this);
        driver_->ready_queue().push(*this);
    }
    driver_->deliver_cancel(message);
    return true;
}

bool ConditionAwaiter::await_resume() {
    if (!suspended()) throw std::logic_error("cannot wait on un-acquired lock");
    if (state_ == State::foreign) throw_refused();
    if (phase_ == Phase::at_lock) {
        leave();
        lock_->locked_ = true;
    }
    if (orphaned_ || driver_->cancel_due()) [[unlikely]] {
        notify_another();
        throw_refused();
    }
    unlink();
    return true;
}

/// It may have been notified, and will not act on it.
void ConditionAwaiter::notify_another() noexcept {
    if (condition_ != nullptr) condition_->waiters_.wake_next();
}

}  // namespace sync
}  // namespace asyncio
