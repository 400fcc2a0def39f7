// SPDX-License-Identifier: MIT
//
// ErrorLog and LogLines: what the library reported, for tests about reports.
//
//     asyncio::testing::ErrorLog errors(loop);     // becomes the loop's exception handler
//     ...
//     EXPECT_EQ(errors.messages(), std::vector<std::string>{"Exception in callback"});
//
//     asyncio::testing::LogLines lines;            // takes the place of standard error
//
// Threads: an ErrorLog belongs to its loop's thread. LogLines is process-wide, one at a time.
#pragma once

#include <asyncio/base/log.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace asyncio::testing {

/// Records what a loop's exception handler is called with. May die before or after the loop.
class ErrorLog {
  public:
    explicit ErrorLog(EventLoop& loop);

    const std::vector<ExceptionContext>& reports() const noexcept { return *reports_; }
    std::vector<std::string> messages() const;
    /// describe() of each report's exception, "no exception" where there is none.
    std::vector<std::string> exceptions() const;
    void clear() noexcept { reports_->clear(); }

  private:
    std::shared_ptr<std::vector<ExceptionContext>> reports_;
};

/// Records what goes to the log, from construction to destruction.
class LogLines {
  public:
    struct Line {
        LogLevel level;
        std::string text;
    };

    LogLines();
    LogLines(const LogLines&) = delete;
    LogLines& operator=(const LogLines&) = delete;
    ~LogLines();

    std::vector<Line> lines() const;
    std::size_t size() const { return lines().size(); }
    /// True if a line of at least that level contains `text`.
    bool contains(std::string_view text, LogLevel level = LogLevel::warning) const;

  private:
    static void sink(LogLevel level, std::string_view text);

    mutable std::mutex mutex_;  // guards lines_
    std::vector<Line> lines_;
    LogSink previous_;
};

}  // namespace asyncio::testing
