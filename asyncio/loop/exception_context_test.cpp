// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/exception_context.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

class ExceptionHandlerTest : public ::testing::Test {
  protected:
    ~ExceptionHandlerTest() override { loop.close(); }
    void iterate() {
        loop.stop();
        loop.run_forever();
    }
    static ExceptionContext context_of(const char* message) {
        ExceptionContext context;
        context.message = message;
        context.exception = std::make_exception_ptr(std::runtime_error("cause"));
        return context;
    }

    std::unique_ptr<EventLoop> owned = testing::make_virtual_loop();
    EventLoop& loop = *owned;
    testing::LogLines lines;
};

TEST_F(ExceptionHandlerTest, EXC_01_without_a_handler_errors_are_logged_with_the_exception) {
    loop.call_soon([] { throw std::runtime_error("went wrong"); });
    iterate();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(lines.contains("Exception in callback", LogLevel::error));
    EXPECT_TRUE(lines.contains("std::runtime_error: went wrong", LogLevel::error));
}

TEST_F(ExceptionHandlerTest, EXC_02_a_custom_handler_receives_loop_and_context) {
    EXPECT_EQ(loop.get_exception_handler(), nullptr);
    EventLoop* seen_loop = nullptr;
    std::string seen;
    loop.set_exception_handler([&](EventLoop& l, const ExceptionContext& context) {
        seen_loop = &l;
        seen = context.message + ", " + describe(context.exception);
    });
    EXPECT_NE(loop.get_exception_handler(), nullptr);
    loop.call_exception_handler(context_of("direct"));
    EXPECT_EQ(seen_loop, &loop);
    EXPECT_EQ(seen, "direct, std::runtime_error: cause");
    ExceptionContext bare;
    bare.message = "only a message";
    loop.call_exception_handler(bare);
    EXPECT_EQ(seen, "only a message, no exception");
    EXPECT_EQ(lines.size(), 0U);

    loop.set_exception_handler(nullptr);
    EXPECT_EQ(loop.get_exception_handler(), nullptr);
    loop.call_exception_handler(context_of("default again"));
    EXPECT_TRUE(lines.contains("default again", LogLevel::error));
}

TEST_F(ExceptionHandlerTest, EXC_03_what_cannot_be_called_does_not_compile) {
    static_assert(!std::is_constructible_v<ExceptionHandler, int>);
    static_assert(!std::is_constructible_v<ExceptionHandler, void (*)()>);
    static_assert(!std::is_constructible_v<ExceptionHandler, void (*)(int)>);
    static_assert(std::is_constructible_v<ExceptionHandler, std::nullptr_t>);
}

TEST_F(ExceptionHandlerTest, EXC_04_a_handler_that_throws_leads_to_the_default_handler) {
    loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {
        throw std::invalid_argument("the handler is broken");
    });
    loop.call_soon([] { throw std::runtime_error("original"); });
    loop.call_soon([] { throw std::runtime_error("another"); });
    iterate();
    EXPECT_EQ(lines.size(), 2U);
    EXPECT_TRUE(lines.contains("Unhandled error in exception handler", LogLevel::error));
    EXPECT_TRUE(lines.contains("std::invalid_argument: the handler is broken"));
    EXPECT_TRUE(lines.contains("Exception in callback"));
    EXPECT_TRUE(lines.contains("std::runtime_error: original"));
}

TEST_F(ExceptionHandlerTest, a_fatal_exception_of_the_handler_passes) {
    loop.set_exception_handler(
        [](EventLoop&, const ExceptionContext&) { throw KeyboardInterrupt(); });
    EXPECT_THROW(loop.call_exception_handler(context_of("x")), KeyboardInterrupt);
}

TEST_F(ExceptionHandlerTest, a_handler_may_replace_itself) {
    const auto owned_by_first = std::make_shared<std::string>("first");
    std::vector<std::string> seen;
    loop.set_exception_handler([&, owned_by_first](EventLoop& l, const ExceptionContext&) {
        l.set_exception_handler(
            [&](EventLoop&, const ExceptionContext&) { seen.push_back("second"); });
        seen.push_back(*owned_by_first);  // once: freed
    });
    loop.call_exception_handler(context_of("x"));
    loop.call_exception_handler(context_of("x"));
    EXPECT_EQ(seen, (std::vector<std::string>{"first", "second"}));
    EXPECT_EQ(owned_by_first.use_count(), 1);
}

TEST_F(ExceptionHandlerTest, a_handler_may_be_called_by_itself) {
    int depth = 0;
    loop.set_exception_handler([&](EventLoop& l, const ExceptionContext& context) {
        if (++depth < 5) l.call_exception_handler(context);
    });
    loop.call_exception_handler(context_of("x"));
    EXPECT_EQ(depth, 5);
}

TEST_F(ExceptionHandlerTest, the_context_as_text) {
    ExceptionContext context = context_of("What happened");
    context.task = "Task-7";
    context.future = "<Future failed>";
    context.source_location = "a.cpp:3";
    EXPECT_EQ(to_string(context),
              "What happened\n  exception: std::runtime_error: cause\n  future: <Future failed>\n"
              "  source_location: a.cpp:3\n  task: Task-7");
    EXPECT_EQ(to_string(ExceptionContext{}), "Unhandled exception in event loop");
}

}  // namespace
}  // namespace asyncio
