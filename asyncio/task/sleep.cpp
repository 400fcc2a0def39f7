// SPDX-License-Identifier: MIT
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task_core.hpp>

#include <cmath>

namespace asyncio::task {

namespace {

EventLoop& loop_of(const loop::Timer& timer) noexcept {
    auto& driver = static_cast<coro::Driver&>(timer.target());
    return *TaskCore::from(&driver)->core().loop;
}

}  // namespace

Duration to_duration(double seconds) {
    if (std::isnan(seconds)) throw std::invalid_argument("Invalid delay: NaN (not a number)");
    const double nanoseconds = seconds * 1e9;
    if (nanoseconds >= static_cast<double>(Duration::max().count())) return Duration::max() / 2;
    if (nanoseconds <= static_cast<double>(Duration::min().count())) return Duration::zero();
    return Duration(static_cast<Duration::rep>(std::ceil(nanoseconds)));
}

TimePoint deadline_after(TimePoint now, Duration delay) noexcept {
    return delay < TimePoint::max() - now ? now + delay : TimePoint::max();
}

void SleepAwaiter::disarm() noexcept {
    if (timer_.armed()) loop_of(timer_).timers().cancel(timer_);
}

void SleepAwaiter::arm() noexcept {
    EventLoop& loop = loop_of(timer_);
    loop.timers().arm(timer_, deadline_after(loop.time(), delay_));
}

bool SleepAwaiter::cancel(const std::string& message) noexcept {
    if (!timer_.armed()) return false;
    disarm();
    auto& driver = static_cast<coro::Driver&>(timer_.target());
    driver.deliver_cancel(message);
    driver.wake();
    return true;
}

}  // namespace asyncio::task
