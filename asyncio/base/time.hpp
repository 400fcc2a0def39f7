// SPDX-License-Identifier: MIT
//
// Time as the loop sees it: one monotonic clock, nanoseconds, never the wall clock (asyncio M7).
#pragma once

// The clocks and durations of <chrono> without its calendar and formatting, which are a tenth of
// what a small program spends on compiling. Whoever prints durations includes <chrono>.
#if __has_include(<bits/chrono.h>)
#include <bits/chrono.h>
#else
#include <chrono>
#endif

namespace asyncio {

using Clock = std::chrono::steady_clock;
using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<Clock, Duration>;

/// `start + delay`, or the nearest there is: "for ever" may be written Duration::max().
constexpr TimePoint deadline_after(TimePoint start, Duration delay) noexcept {
    if (delay > Duration::zero() && start > TimePoint::max() - delay) return TimePoint::max();
    if (delay < Duration::zero() && start < TimePoint::min() - delay) return TimePoint::min();
    return start + delay;
}

}  // namespace asyncio
