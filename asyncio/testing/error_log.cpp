// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/testing/error_log.hpp>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <memory>

namespace asyncio::testing {

namespace {
std::atomic<LogLines*> present{nullptr};
}

ErrorLog::ErrorLog(EventLoop& loop) : reports_(std::make_shared<std::vector<ExceptionContext>>()) {
    loop.set_exception_handler([reports = reports_](EventLoop&, const ExceptionContext& context) {
        reports->push_back(context);
    });
}

std::vector<std::string> ErrorLog::messages() const {
    std::vector<std::string> texts;
    for (const ExceptionContext& report : *reports_) texts.push_back(report.message);
    return texts;
}

std::vector<std::string> ErrorLog::exceptions() const {
    std::vector<std::string> texts;
    for (const ExceptionContext& report : *reports_) texts.push_back(describe(report.exception));
    return texts;
}

LogLines::LogLines() {
    [[maybe_unused]] LogLines* other = present.exchange(this);
    assert(other == nullptr);
    previous_ = set_log_sink(&sink);
}

LogLines::~LogLines() {
    set_log_sink(previous_);
    present.store(nullptr);
}

void LogLines::sink(LogLevel level, std::string_view text) {
    LogLines* self = present.load();
    if (self == nullptr) return;
    const std::lock_guard lock(self->mutex_);
    self->lines_.push_back({level, std::string(text)});
}

std::vector<LogLines::Line> LogLines::lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
}

bool LogLines::contains(std::string_view text, LogLevel level) const {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(lines_, [&](const Line& line) {
        return line.level >= level && line.text.find(text) != std::string::npos;
    });
}

}  // namespace asyncio::testing
