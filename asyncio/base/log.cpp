// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>

#include <atomic>
#include <cstdio>

namespace asyncio {

namespace {

std::atomic<LogSink> current_sink{nullptr};
std::atomic<LogLevel> lowest{LogLevel::warning};

constexpr const char* kNames[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

}  // namespace

LogSink set_log_sink(LogSink sink) noexcept { return current_sink.exchange(sink); }

void set_log_level(LogLevel level) noexcept { lowest.store(level); }

void log(LogLevel level, std::string_view text) noexcept {
    if (LogSink sink = current_sink.load()) {
        sink(level, text);
        return;
    }
    if (level < lowest.load()) return;
    std::fprintf(stderr, "%s asyncio: %.*s\n", kNames[static_cast<int>(level)],
                 static_cast<int>(text.size()), text.data());
}

}  // namespace asyncio
