// SPDX-License-Identifier: MIT
//
// run_main: exit statuses, and what is said on standard error.
#include <asyncio/base/error.hpp>
#include <asyncio/task/run_main.hpp>
#include <asyncio/task/task_group.hpp>
#include <asyncio/task/with.hpp>

#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

/// What run_main() gives for `main`, and what it prints to standard error.
template <class A>
std::pair<int, std::string> ends(A&& main, RunOptions options = {.debug = false}) {
    ::testing::internal::CaptureStderr();
    const int status = run_main(std::forward<A>(main), options);
    return {status, ::testing::internal::GetCapturedStderr()};
}

const std::string kProgram = std::string(program_invocation_short_name) + ": ";

Coro<int> give(int status) { co_return status; }
Coro<> nothing() { co_return; }
/// Throws before there is a coroutine.
ASYNCIO_CORO_WRAPPER Coro<> bad_argument() { throw std::runtime_error("x"); }
template <class E>
Coro<> fail(E error) {
    throw error;
    co_return;
}

TEST(RunMain, a_result_is_success_and_an_int_is_the_status) {
    EXPECT_EQ(ends(nothing()), std::pair(0, std::string()));
    EXPECT_EQ(ends(give(3)), std::pair(3, std::string()));
    EXPECT_EQ(ends([]() -> Coro<int> { co_return 4; }), std::pair(4, std::string()));
}

TEST(RunMain, an_exception_is_one_line_and_status_1) {
    EXPECT_EQ(ends(fail(std::runtime_error("no disk"))), std::pair(1, kProgram + "no disk\n"));
    EXPECT_EQ(ends(fail(std::invalid_argument("stoi"))),
              std::pair(1, kProgram + "std::invalid_argument: stoi\n"));
    EXPECT_EQ(ends(fail(CancelledError())), std::pair(1, kProgram + "cancelled\n"));
    EXPECT_EQ(ends(bad_argument), std::pair(1, kProgram + "x\n"));  // before it is a coroutine
}

TEST(RunMain, a_group_says_each_of_its_errors) {
    const auto main = []() -> Coro<> {
        co_await with(TaskGroup(), [](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(fail(std::runtime_error("one")));
            (void)tg.create_task(fail(std::runtime_error("two")));
            co_return;
        });
    };
    EXPECT_EQ(ends(main), std::pair(1, kProgram + "one\n" + kProgram + "two\n"));
}

TEST(RunMain, in_debug_mode_the_coroutines_are_named) {
    const auto [status, text] = ends(fail(std::runtime_error("no disk")), {.debug = true});
    EXPECT_EQ(status, 1);
    EXPECT_NE(text.find("run_main_test.cpp"), std::string::npos) << text;
}

TEST(RunMain, SystemExit_and_Ctrl_C) {
    EXPECT_EQ(ends(fail(SystemExit(7))), std::pair(7, std::string()));
    const auto interrupted = []() -> Coro<> {
        std::raise(SIGINT);
        co_await get_running_loop().create_future<void>();
    };
    EXPECT_EQ(ends(interrupted), std::pair(130, std::string()));
}

}  // namespace
}  // namespace asyncio
