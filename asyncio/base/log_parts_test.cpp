// SPDX-License-Identifier: MIT
#include <asyncio/base/log_parts.hpp>

#include <string>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

std::string logged;

TEST(LogParts, are_one_line) {
    const std::string name(100, 'n');
    const LogSink before =
        set_log_sink([](LogLevel, std::string_view text) { logged += std::string(text) + "\n"; });
    log_parts(LogLevel::warning, {"the program ", name, " does not go away"});
    log_parts(LogLevel::warning, {});
    set_log_sink(before);
    EXPECT_EQ(logged, "the program " + name + " does not go away\n\n");
}

}  // namespace
}  // namespace asyncio
