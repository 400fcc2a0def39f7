// SPDX-License-Identifier: MIT
#include <asyncio/sync/semaphore.hpp>

#include <stdexcept>

namespace asyncio {

Semaphore::Semaphore(std::ptrdiff_t value, std::ptrdiff_t limit)
    : waiters_(bound_), value_(value), limit_(limit) {
    if (value < 0) throw std::invalid_argument("Semaphore initial value must be >= 0");
}

Coro<> Semaphore::aenter() { co_await acquire(); }

Coro<bool> Semaphore::aexit(std::exception_ptr) {
    release();
    co_return false;
}

std::string Semaphore::description() const {
    std::string text = locked() ? "<Semaphore locked" : "<Semaphore unlocked";
    text += ", value: " + std::to_string(value_);
    if (!waiters_.empty()) text += ", waiters: " + std::to_string(waiters_.size());
    return text + ">";
}

void Semaphore::throw_released_too_often() {
    throw std::invalid_argument("BoundedSemaphore released too many times");
}

namespace sync {

void SemaphoreAwaiter::finish() {
    if (!leave()) driver_->throw_if_cancelled();  // out of the queue before it was served
    const bool cancelled = driver_->cancel_due();
    if (cancelled) ++semaphore_.value_;
    semaphore_.serve();  // newcomers had to queue while this one was on its way
    if (cancelled) driver_->throw_if_cancelled();
}

void SemaphoreAwaiter::abandon() noexcept {
    if (state_ == State::woken) ++semaphore_.value_;
    semaphore_.waiters_.remove(*this);
    semaphore_.serve();
}

}  // namespace sync
}  // namespace asyncio
