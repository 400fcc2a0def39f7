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
    /// `describe(subject)` says more than `what`; called only for a report.
    using Describe = std::string (*)(const void* subject);

    SlowReport(EventLoop& loop, std::string_view what, Describe describe = nullptr,
               const void* subject = nullptr)
        : loop_(loop), what_(what), describe_(describe), subject_(subject) {
        if (loop.get_debug()) [[unlikely]]
            start_ = loop.time();
    }
    ~SlowReport() {
        if (start_ != TimePoint()) [[unlikely]]
            finish(loop_, what_, describe_, subject_, start_);
    }

  private:
    // By value: so the object needs no memory while debug mode is off.
    static void finish(EventLoop& loop, std::string_view what, Describe describe,
                       const void* subject, TimePoint start) noexcept;

    EventLoop& loop_;
    std::string_view what_;
    Describe describe_;
    const void* subject_;
    TimePoint start_{};
};

}  // namespace asyncio::loop
