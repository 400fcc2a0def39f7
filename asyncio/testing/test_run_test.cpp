// SPDX-License-Identifier: MIT
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/testing/descriptors.hpp>
#include <asyncio/testing/test_run.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace asyncio::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> run_body(TestStep body, TestOptions options = {}) {
    TestSteps steps;
    steps.body = std::move(body);
    return run_test(std::move(steps), options);
}

Coro<> stuck() { co_await sleep(24h); }

TEST(TestRun, runs_the_steps_in_order) {
    std::string log;
    const auto note = [&](const char* what) {
        return [&log, what]() -> Coro<> {
            co_await sleep(0s);
            log += what;
        };
    };
    TestSteps steps;
    steps.set_up = note("set-up ");
    steps.body = note("body ");
    steps.tear_down = note("tear-down");
    EXPECT_THAT(run_test(std::move(steps)), IsEmpty());
    EXPECT_EQ(log, "set-up body tear-down");
}

TEST(TestRun, tears_down_what_could_not_be_set_up) {
    std::string log;
    TestSteps steps;
    steps.set_up = []() -> Coro<> {
        co_await sleep(0s);
        throw std::runtime_error("no room");
    };
    steps.body = [&]() -> Coro<> {
        log += "body ";
        co_return;
    };
    steps.tear_down = [&]() -> Coro<> {
        log += "tear-down";
        co_return;
    };
    EXPECT_THAT(run_test(std::move(steps)),
                ElementsAre(HasSubstr("the set-up threw std::runtime_error: no room")));
    EXPECT_EQ(log, "tear-down");
}

TEST(TestRun, runs_no_body_when_the_framework_knows_better) {
    std::string log;
    TestSteps steps;
    steps.body = [&]() -> Coro<> {
        log += "body";
        co_return;
    };
    steps.failed = [] { return true; };
    EXPECT_THAT(run_test(std::move(steps)), IsEmpty());
    EXPECT_EQ(log, "");
}

TEST(TestRun, an_exception_comes_with_its_coroutines) {
    const auto inner = []() -> Coro<> {
        co_await sleep(0s);
        throw std::runtime_error("broken");
    };
    EXPECT_THAT(run_body([&]() -> Coro<> { co_await inner(); }),
                ElementsAre(AllOf(HasSubstr("the test threw std::runtime_error: broken"),
                                  HasSubstr("test_run_test.cpp"))));
}

TEST(TestRun, takes_no_longer_than_it_may_and_says_where_it_stood) {
    const TestOptions options{.timeout = 1h, .virtual_time = true};
    EXPECT_THAT(run_body(stuck, options),
                ElementsAre(AllOf(HasSubstr("the test took longer than 3600 s"), HasSubstr("stuck"),
                                  HasSubstr("sleep"))));
}

TEST(TestRun, does_not_wait_for_who_ignores_its_cancellation) {
    const TestOptions options{.timeout = 1h, .virtual_time = true, .check_leaks = false};
    const auto body = []() -> Coro<> {
        try {
            co_await sleep(24h);
        } catch (const CancelledError&) {  // swallowed
        }
        co_await sleep(10s);
    };
    EXPECT_THAT(run_body(body, options),
                ElementsAre(HasSubstr("took longer"), HasSubstr("did not give way")));
}

TEST(TestRun, finds_tasks_that_were_left) {
    const auto body = []() -> Coro<> {
        (void)create_task(stuck(), {.name = "forgotten"});
        co_await sleep(0s);
    };
    EXPECT_THAT(run_body(body),
                ElementsAre(AllOf(HasSubstr("left tasks running"), HasSubstr("forgotten"))));
    EXPECT_THAT(run_body(body, {.virtual_time = true}), ElementsAre(HasSubstr("forgotten")));
    EXPECT_THAT(run_body(body, {.check_leaks = false}), IsEmpty());
}

TEST(TestRun, tasks_that_are_about_to_end_are_no_leak) {
    const auto body = []() -> Coro<> {
        (void)create_task([]() -> Coro<> { co_await sleep(5ms); });
        co_return;
    };
    EXPECT_THAT(run_body(body), IsEmpty());
}

TEST(TestRun, finds_descriptors_that_were_left) {
    int fd = -1;
    const auto body = [&]() -> Coro<> {
        fd = ::dup(0);
        co_return;
    };
    const std::vector<std::string> faults = run_body(body);
    EXPECT_THAT(faults, ElementsAre(HasSubstr("descriptor " + std::to_string(fd) + " (")));
    ::close(fd);
    const OpenDescriptors before;
    EXPECT_THAT(run_body([]() -> Coro<> { co_return; }), IsEmpty());
    EXPECT_THAT(OpenDescriptors::since(before), IsEmpty());
}

TEST(TestRun, finds_exceptions_that_nobody_took) {
    const auto body = []() -> Coro<> {
        get_running_loop().call_soon([] { throw std::runtime_error("lost"); });
        co_await sleep(0s);
        co_await sleep(0s);
    };
    EXPECT_THAT(run_body(body), ElementsAre(HasSubstr("lost")));
    const auto handles = [&]() -> Coro<> {
        get_running_loop().set_exception_handler([](EventLoop&, const ExceptionContext&) {});
        co_await body();
    };
    EXPECT_THAT(run_body(handles), IsEmpty());
}

TEST(TestRun, a_cancelled_body_is_a_failure) {
    const auto body = []() -> Coro<> {
        current_task().cancel();
        co_await sleep(0s);
    };
    EXPECT_THAT(run_body(body), ElementsAre("the test was cancelled"));
}

}  // namespace
}  // namespace asyncio::testing
