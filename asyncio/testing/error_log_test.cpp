// SPDX-License-Identifier: MIT
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <stdexcept>

#include <gtest/gtest.h>

namespace asyncio::testing {
namespace {

TEST(ErrorLog, records_reports_and_outlives_the_loop) {
    auto loop = make_virtual_loop();
    ErrorLog errors(*loop);
    loop->call_soon([] { throw std::runtime_error("one"); });
    loop->call_soon([&] { loop->stop(); });
    loop->run_forever();
    loop->close();
    loop.reset();
    EXPECT_EQ(errors.messages(), std::vector<std::string>{"Exception in callback"});
    EXPECT_EQ(errors.exceptions(), std::vector<std::string>{"std::runtime_error: one"});
    errors.clear();
    EXPECT_TRUE(errors.reports().empty());
}

TEST(LogLines, records_the_log_and_puts_the_old_sink_back) {
    {
        const LogLines lines;
        log(LogLevel::info, "hello");
        log(LogLevel::error, "broken");
        EXPECT_EQ(lines.size(), 2U);
        EXPECT_FALSE(lines.contains("hello"));
        EXPECT_TRUE(lines.contains("hello", LogLevel::info));
        EXPECT_TRUE(lines.contains("rok", LogLevel::error));
    }
    EXPECT_EQ(set_log_sink(nullptr), nullptr);
}

}  // namespace
}  // namespace asyncio::testing
