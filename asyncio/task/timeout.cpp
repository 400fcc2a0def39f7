// SPDX-License-Identifier: MIT
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/timeout.hpp>

#include <stdexcept>
#include <string>

namespace asyncio {

Timeout timeout(Option<Duration> delay) {
    if (!delay) return Timeout(std::nullopt);
    return Timeout(task::deadline_after(get_running_loop().time(), *delay));
}

Timeout timeout_at(Option<TimePoint> when) { return Timeout(when); }

Timeout::Timeout(Timeout&& other) : when_(other.when_) {
    if (other.state_ != State::created)
        throw std::logic_error("a Timeout cannot be moved after it was entered");
}

std::optional<TimePoint> Timeout::when() const noexcept { return when_; }

Timeout::~Timeout() { timer_.cancel(); }

void Timeout::enter() {
    if (state_ != State::created) throw std::logic_error("Timeout has already been entered");
    task_ = current_task();
    if (!task_) throw std::logic_error("Timeout should be used inside a task");
    baseline_ = task_.cancelling();
    state_ = State::active;
    reschedule(when_);
}

void Timeout::reschedule(Option<TimePoint> when) {
    static constexpr const char* kNames[] = {"created", "active", "expiring", "expired",
                                             "finished"};
    if (state_ != State::active)
        throw std::logic_error(std::string("Cannot change state of ") +
                               kNames[static_cast<int>(state_)] + " Timeout");
    timer_.cancel();
    timer_ = Handle();
    when_ = when;
    if (!when) return;
    EventLoop& loop = get_running_loop();
    if (*when <= loop.time())
        timer_ = loop.call_soon([this] { expire(); });
    else
        timer_ = loop.call_at(*when, [this] { expire(); });
}

void Timeout::expire() noexcept {
    task_.cancel();
    state_ = State::expiring;
}

void Timeout::leave(const std::exception_ptr& error) {
    timer_.cancel();
    if (state_ != State::expiring) {
        state_ = State::finished;
        return;
    }
    state_ = State::expired;
    const bool ours_alone = task_.uncancel() <= baseline_;
    if (ours_alone && is_cancelled_error(error)) throw TimeoutError(error);
}

Coro<> Timeout::aenter() {
    enter();
    co_return;
}

Coro<bool> Timeout::aexit(std::exception_ptr error) {
    leave(error);
    co_return false;
}

}  // namespace asyncio
