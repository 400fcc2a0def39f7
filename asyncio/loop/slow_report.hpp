// SPDX-License-Identifier: MIT
//
// SlowReport: in debug mode, says which callback or task step held the loop up for longer than
// EventLoop::slow_callback_duration. One flag test when debug mode is off.
#pragma once

#include <asyncio/loop/event_loop.hpp>

#include <string>
#include <string_view>

namespace asyncio::loop {

class SlowReport {
  public:
    SlowReport(EventLoop& loop, std::string_view what) : loop_(loop), what_(what) {
        if (loop.get_debug()) [[unlikely]]
            start_ = loop.time();
    }
    ~SlowReport() {
        if (start_ != TimePoint()) [[unlikely]]
            finish(loop_, what_, start_);
    }

  private:
    // By value: so the object needs no memory while debug mode is off.
    static void finish(EventLoop& loop, std::string_view what, TimePoint start) noexcept;

    EventLoop& loop_;
    std::string_view what_;
    TimePoint start_{};
};

}  // namespace asyncio::loop
