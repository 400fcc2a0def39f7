// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>

#include <type_traits>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

template <class E>
std::exception_ptr holding(E error) {
    return std::make_exception_ptr(std::move(error));
}

TEST(Errors, cancelled_error_is_no_std_exception) {
    static_assert(!std::is_base_of_v<std::exception, CancelledError>);
    static_assert(!std::is_base_of_v<std::exception, FatalException>);
    static_assert(std::is_base_of_v<std::logic_error, InvalidStateError>);
    static_assert(std::is_base_of_v<std::system_error, TimeoutError>);
    EXPECT_EQ(CancelledError("why").message(), "why");
    EXPECT_STREQ(CancelledError("why").what(), "why");
    EXPECT_STREQ(CancelledError().what(), "CancelledError");
}

TEST(Errors, timeout_error_is_the_systems_and_keeps_its_cause) {
    const TimeoutError error(holding(CancelledError("late")));
    EXPECT_EQ(error.code(), std::errc::timed_out);
    EXPECT_TRUE(is_cancelled_error(error.cause()));
    EXPECT_EQ(TimeoutError().cause(), nullptr);
}

TEST(Errors, are_told_apart_without_throwing) {
    EXPECT_TRUE(is_cancelled_error(holding(CancelledError())));
    EXPECT_FALSE(is_cancelled_error(holding(std::runtime_error("x"))));
    EXPECT_FALSE(is_cancelled_error(nullptr));
    EXPECT_TRUE(is_fatal(holding(SystemExit(2))));
    EXPECT_TRUE(is_fatal(holding(KeyboardInterrupt())));
    EXPECT_FALSE(is_fatal(holding(CancelledError())));
    EXPECT_FALSE(is_fatal(holding(std::runtime_error("x"))));
    EXPECT_FALSE(is_fatal(holding(1)));
    EXPECT_FALSE(is_fatal(nullptr));
}

TEST(Errors, a_cancellation_is_looked_at_without_throwing) {
    const std::exception_ptr error = holding(CancelledError("why"));
    const CancelledError* held = cancelled_error_in(error);
    try {
        std::rethrow_exception(error);
    } catch (const CancelledError& thrown) {
        EXPECT_EQ(&thrown, held);
        EXPECT_EQ(held->message(), "why");
    }
    EXPECT_EQ(cancelled_error_in(holding(std::string("why"))), nullptr);
    EXPECT_EQ(cancelled_error_in(nullptr), nullptr);
}

TEST(Errors, describe_gives_type_and_text) {
    EXPECT_EQ(describe(nullptr), "no exception");
    EXPECT_EQ(describe(holding(std::runtime_error("text"))), "std::runtime_error: text");
    EXPECT_EQ(describe(holding(CancelledError())), "CancelledError");
    EXPECT_EQ(describe(holding(CancelledError("why"))), "CancelledError: why");
    EXPECT_EQ(describe(holding(SystemExit(2))), "SystemExit");
    EXPECT_EQ(describe(holding(3)), "int");
}

}  // namespace
}  // namespace asyncio
