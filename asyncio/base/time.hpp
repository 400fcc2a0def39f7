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
    // On bare numbers: std::chrono's operators are templates that everybody who includes us would
    // instantiate here.
    const Duration::rep from = start.time_since_epoch().count();
    const Duration::rep by = delay.count();
    if (by > 0 && from > Duration::max().count() - by) return TimePoint::max();
    if (by < 0 && from < Duration::min().count() - by) return TimePoint::min();
    return TimePoint(Duration(from + by));
}

}  // namespace asyncio
