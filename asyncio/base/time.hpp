// SPDX-License-Identifier: MIT
//
// Time as the loop sees it: one monotonic clock, nanoseconds, never the wall clock (asyncio M7).
#pragma once

#include <chrono>

namespace asyncio {

using Clock = std::chrono::steady_clock;
using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<Clock, Duration>;

}  // namespace asyncio
