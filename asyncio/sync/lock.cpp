// SPDX-License-Identifier: MIT
#include <asyncio/sync/lock.hpp>

#include <stdexcept>

namespace asyncio {

Coro<> Lock::aenter() { co_await acquire(); }

Coro<bool> Lock::aexit(std::exception_ptr) {
    release();
    co_return false;
}

std::string Lock::description() const {
    std::string text = locked_ ? "<Lock locked" : "<Lock unlocked";
    if (!waiters_.empty()) text += ", waiters: " + std::to_string(waiters_.size());
    return text + ">";
}

void Lock::throw_not_acquired() { throw std::logic_error("Lock is not acquired."); }

namespace sync {

void LockAwaiter::finish() {
    if (!leave()) driver_->throw_if_cancelled();  // out of the queue before it was woken
    if (driver_->cancel_due()) [[unlikely]] {
        lock_.pass_on();
        driver_->throw_if_cancelled();
    }
    lock_.locked_ = true;
}

void LockAwaiter::abandon() noexcept {
    const bool woken = state_ == State::woken;
    lock_.waiters_.remove(*this);
    if (woken) lock_.pass_on();
}

}  // namespace sync
}  // namespace asyncio
