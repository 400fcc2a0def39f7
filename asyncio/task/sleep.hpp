// SPDX-License-Identifier: MIT
//
// sleep: let time pass, or let others run.
//
//     co_await asyncio::sleep(1s);
//     co_await asyncio::sleep(0s);              // exactly one iteration of the loop
//     int v = co_await asyncio::sleep(1s, 42);  // and a result
//
// The timer lives in the awaiting frame and wakes the task itself: no allocation, no callback in
// between. Cancelling removes the timer. Equal deadlines wake in the order the sleeps began.
#pragma once

#include <asyncio/base/time.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/loop/timer_queue.hpp>

namespace asyncio {

namespace task {

/// Throws std::invalid_argument for NaN; saturates what a Duration cannot hold.
Duration to_duration(double seconds);

/// count * nanoseconds; zero if negative, the longest there is if it is beyond that.
constexpr Duration saturated(Duration::rep count, Duration::rep nanoseconds) noexcept {
    if (count <= 0) return Duration::zero();
    if (count > Duration::max().count() / nanoseconds) return Duration::max();
    return Duration(count * nanoseconds);
}

/// now + delay, or the end of time if that lies beyond it.
TimePoint deadline_after(TimePoint now, Duration delay) noexcept;

class SleepAwaiter final : public coro::Wait {
  public:
    explicit SleepAwaiter(Duration delay) noexcept : delay_(delay) {}

    bool await_ready() const noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) noexcept {
        suspend(coro::driver_of(frame));
    }
    void await_resume() { static_cast<coro::Driver&>(timer_.target()).throw_if_cancelled(); }

    bool cancel(const std::string& message) noexcept override;
    void dropped() noexcept override { disarm(); }
    const char* what() const noexcept override { return "sleep"; }

  private:
    void suspend(coro::Driver& driver) noexcept;
    void arm() noexcept;
    void disarm() noexcept;

    loop::Timer timer_;
    Duration delay_;
};

inline void SleepAwaiter::suspend(coro::Driver& driver) noexcept {
    timer_.set_target(driver);
    driver.suspend_in(*this);
    if (delay_ <= Duration::zero())
        driver.wake();
    else
        arm();
}

}  // namespace task

/// What sleep() returns; awaits as often as one likes.
class [[nodiscard("sleep() does nothing until it is awaited: co_await it")]] Sleep
    : public coro::DriverAwaitable {
  public:
    explicit Sleep(Duration delay) noexcept : delay_(delay) {}
    task::SleepAwaiter operator co_await() const noexcept { return task::SleepAwaiter(delay_); }

  private:
    Duration delay_;
};

/// Suspend for at least `delay`; zero or less: for one iteration. Any std::chrono duration;
/// std::invalid_argument for a floating-point one that is NaN.
template <class Rep, class Period>
Sleep sleep(std::chrono::duration<Rep, Period> delay) {
    using Given = std::chrono::duration<Rep, Period>;
    constexpr std::intmax_t kSecond = Duration::period::den;
    if constexpr (std::is_same_v<Rep, Duration::rep> && kSecond % Period::den == 0)
        // The usual ones, without what std::chrono makes a compiler instantiate for each.
        return Sleep(task::saturated(delay.count(), kSecond / Period::den * Period::num));
    else if constexpr (std::chrono::treat_as_floating_point_v<Rep>)
        return Sleep(
            task::to_duration(static_cast<double>(delay.count()) * Period::num / Period::den));
    else if constexpr (std::ratio_less_v<Period, Duration::period>)
        return Sleep(std::chrono::ceil<Duration>(delay));
    else if (delay <= Given::zero())
        return Sleep(Duration::zero());
    else if (delay > std::chrono::duration_cast<Given>(Duration::max()))
        return Sleep(Duration::max());
    else
        return Sleep(std::chrono::duration_cast<Duration>(delay));
}

/// The same, and give `result`.
template <class Rep, class Period, class T>
Coro<T> sleep(std::chrono::duration<Rep, Period> delay, T result) {
    co_await sleep(delay);
    co_return std::move(result);
}

}  // namespace asyncio
