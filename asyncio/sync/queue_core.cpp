// SPDX-License-Identifier: MIT
#include <asyncio/sync/queue_core.hpp>

#include <cstdint>

namespace asyncio::sync {

QueueCore::QueueCore(std::ptrdiff_t maxsize) noexcept
    : limit_(maxsize > 0 ? static_cast<std::size_t>(maxsize) : SIZE_MAX),
      maxsize_(maxsize),
      getters_(bound_),
      putters_(bound_),
      joiners_(bound_) {}

/// Who was woken by shutdown() already knows all it needs.
QueueCore::~QueueCore() {
    if (!shut_down_) return;
    for (WaitQueue* queue : {&getters_, &putters_}) {
        for (Waiter* waiter = queue->front(); waiter != nullptr; waiter = queue->after(*waiter))
            static_cast<QueueWaiter*>(waiter)->core_ = nullptr;
        queue->forget_woken();
    }
}

void QueueCore::task_done() {
    if (unfinished() == 0) throw std::invalid_argument("task_done() called too many times");
    ++done_;
    if (unfinished() == 0) joiners_.release_all();
}

void QueueCore::shut_down(bool discarded_all) noexcept {
    shut_down_ = true;
    if (discarded_all) {
        done_ += qsize() < unfinished() ? qsize() : unfinished();
        left_ = entered_;
        if (unfinished() == 0) joiners_.release_all();
    }
    getters_.wake_all();
    putters_.wake_all();
}

void QueueCore::throw_cannot_put() const {
    if (shut_down_) throw QueueShutDown();
    throw QueueFull();
}

void QueueCore::throw_cannot_get() const {
    if (shut_down_) throw QueueShutDown();
    throw QueueEmpty();
}

std::string QueueCore::description() const {
    std::string text = "<Queue maxsize=" + std::to_string(maxsize_);
    text += " items=" + std::to_string(qsize());
    if (!getters_.empty()) text += " getters=" + std::to_string(getters_.size());
    if (!putters_.empty()) text += " putters=" + std::to_string(putters_.size());
    if (unfinished() > 0) text += " unfinished=" + std::to_string(unfinished());
    if (shut_down_) text += " shutdown";
    return text + ">";
}

void QueueWaiter::take_turn(Runnable& runnable, Turn turn) {
    if (turn != Turn::run) return;
    auto& self = static_cast<QueueWaiter&>(runnable);
    const bool goes_on = self.state_ != State::woken || self.ready() || self.driver_->cancel_due();
    if (goes_on)
        self.driver_->run();  // may be the end of this object
    else
        self.waiters().wait_again(self);
}

void QueueWaiter::finish() {
    if (!leave()) driver_->throw_if_cancelled();  // out of the queue before it was woken
    if (core_ == nullptr) {
        driver_->throw_if_cancelled();
        throw QueueShutDown();
    }
    if (driver_->cancel_due()) [[unlikely]] {
        if (ready()) waiters().wake_next();
        driver_->throw_if_cancelled();
    }
}

void QueueWaiter::abandon() noexcept {
    const bool woken = state_ == State::woken;
    waiters().remove(*this);
    if (woken && ready()) waiters().wake_next();
}

}  // namespace asyncio::sync
