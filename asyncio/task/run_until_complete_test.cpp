// SPDX-License-Identifier: MIT
//
// The loop's behaviours that take a task to see: LOOP-21 ... LOOP-25, LOOP-34, LOOP-37, LOOP-38,
// EXC-09, EXC-10.
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

using Log = std::vector<std::string>;

class RunUntilComplete : public ::testing::Test {
  protected:
    ~RunUntilComplete() override { loop.close(); }
    void iterate() {
        loop.stop();
        loop.run_forever();
    }

    std::unique_ptr<EventLoop> owned = testing::make_virtual_loop();
    EventLoop& loop = *owned;
    testing::ErrorLog errors{loop};
    Log log;
};

Coro<int> give(int value) {
    co_await sleep(1s);
    co_return value;
}

Coro<> fail() {
    co_await sleep(1s);
    throw std::runtime_error("failed");
}

template <class E>
Coro<> leave(E error) {
    co_await sleep(1s);
    throw error;
}

TEST_F(RunUntilComplete, LOOP_21_gives_the_result_or_the_exception) {
    EXPECT_EQ(loop.run_until_complete(give(42)), 42);
    EXPECT_THROW(loop.run_until_complete(fail()), std::runtime_error);
    const auto moving = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(7); };
    EXPECT_EQ(*loop.run_until_complete(moving()), 7);
    EXPECT_TRUE(errors.reports().empty());
}

template <class A>
concept Runs = requires(EventLoop& loop, A a) { loop.create_task(std::move(a)); };

TEST_F(RunUntilComplete, LOOP_22_takes_coroutines_futures_tasks_awaitables_and_nothing_else) {
    EXPECT_EQ(loop.run_until_complete(give(1)), 1);
    Future<int> future = loop.create_future<int>();
    loop.call_later(1s, [&] { future.set_result(2); });
    EXPECT_EQ(loop.run_until_complete(future), 2);
    EXPECT_EQ(loop.run_until_complete(future), 2);  // done already
    Task<int> task = loop.create_task(give(3));
    EXPECT_EQ(loop.run_until_complete(task), 3);
    loop.run_until_complete(sleep(1s));
    static_assert(Awaitable<Coro<int>> && Awaitable<Future<int>&> && Awaitable<Sleep>);
    static_assert(!Awaitable<int> && !Awaitable<std::string>);
}

TEST_F(RunUntilComplete, LOOP_23_a_future_of_another_loop_is_a_value_error) {
    auto other = testing::make_virtual_loop();
    const Future<int> foreign = other->create_future<int>();
    EXPECT_THROW(loop.run_until_complete(foreign), std::invalid_argument);
    EXPECT_FALSE(foreign.done());
    other->close();
}

TEST_F(RunUntilComplete, LOOP_24_stopped_early_it_raises_and_the_task_goes_on_later) {
    Task<int> task = loop.create_task(give(5));
    loop.call_soon([&] { loop.stop(); });
    try {
        loop.run_until_complete(task);
        FAIL();
    } catch (const std::logic_error& e) {
        EXPECT_STREQ(e.what(), "Event loop stopped before Future completed.");
    }
    EXPECT_FALSE(task.done());
    EXPECT_EQ(loop.run_until_complete(task), 5);
}

TEST_F(RunUntilComplete, LOOP_25_a_loop_stopped_during_a_sleep_resumes_the_task_when_run_again) {
    const TimePoint start = loop.time();
    const auto body = [&]() -> Coro<> {
        co_await sleep(10s);
        log.push_back(std::to_string((loop.time() - start) / 1s));
        loop.stop();
    };
    const Task<> task = loop.create_task(body());
    loop.call_later(3s, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(log, Log{});
    loop.run_forever();
    EXPECT_EQ(log, Log{"10"});
    EXPECT_TRUE(task.done());
}

TEST_F(RunUntilComplete, LOOP_26_is_refused_inside_a_running_loop) {
    const auto body = [&]() -> Coro<> {
        EXPECT_THROW(loop.run_until_complete(give(1)), std::logic_error);
        auto other = testing::make_virtual_loop();
        EXPECT_THROW(other->run_until_complete(give(1)), std::logic_error);
        other->close();
        EXPECT_EQ(&get_running_loop(), &loop);
        co_return;
    };
    loop.run_until_complete(body());
}

TEST_F(RunUntilComplete, LOOP_31_LOOP_34_create_task_on_a_closed_loop_disposes_of_the_coroutine) {
    const testing::LogLines lines;
    const auto alive = std::make_shared<int>(0);
    const auto body = [](std::shared_ptr<int>) -> Coro<> { co_return; };
    loop.close();
    EXPECT_THROW((void)loop.create_task(body(alive)), std::logic_error);
    EXPECT_THROW(loop.run_until_complete(body(alive)), std::logic_error);
    EXPECT_EQ(alive.use_count(), 1);
    EXPECT_EQ(lines.size(), 0U);
    EXPECT_TRUE(errors.reports().empty());
}

TEST_F(RunUntilComplete, LOOP_37_after_a_fatal_exception_the_orphan_does_not_stop_the_next_run) {
    loop.call_later(500ms, [] { throw KeyboardInterrupt(); });
    const auto orphan = [&]() -> Coro<> {
        co_await sleep(1s);
        log.push_back("orphan");
    };
    EXPECT_THROW(loop.run_until_complete(orphan()), KeyboardInterrupt);
    const auto next = [&]() -> Coro<> {
        co_await sleep(10s);
        log.push_back("next");
    };
    loop.run_until_complete(next());
    EXPECT_EQ(log, (Log{"orphan", "next"}));
    EXPECT_TRUE(errors.reports().empty());
}

TEST_F(RunUntilComplete, LOOP_38_a_fatal_exception_of_the_main_task_reaches_the_caller_only) {
    EXPECT_THROW(loop.run_until_complete(leave(SystemExit(3))), SystemExit);
    EXPECT_THROW(loop.run_until_complete(leave(KeyboardInterrupt())), KeyboardInterrupt);
    EXPECT_EQ(loop.run_until_complete(give(1)), 1);
    {
        const Task<> task = loop.create_task(leave(SystemExit(4)));
        EXPECT_THROW(loop.run_until_complete(task), SystemExit);
        EXPECT_TRUE(task.done());
    }
    EXPECT_TRUE(errors.reports().empty());
}

TEST_F(RunUntilComplete, main_ends_in_the_iteration_in_which_the_loop_is_stopped) {
    // The stop that was meant for the first run must not end the second.
    const auto first = [&]() -> Coro<> {
        loop.stop();
        co_return;
    };
    loop.run_until_complete(first());
    EXPECT_EQ(loop.run_until_complete(give(1)), 1);
}

TEST_F(RunUntilComplete, EXC_09_a_pending_task_at_the_loops_end_is_reported) {
    Task<int> kept;
    {
        kept = loop.create_task(give(1), {.name = "left over"});
        (void)loop.create_task(give(2));
        iterate();
    }
    loop.close();
    EXPECT_EQ(errors.messages(),
              std::vector<std::string>(2, "Task was destroyed but it is pending!"));
    EXPECT_NE(errors.reports()[0].future.find("left over"), std::string::npos);
    EXPECT_FALSE(kept.done());
}

TEST_F(RunUntilComplete, EXC_09_the_task_made_by_run_until_complete_is_not) {
    loop.call_soon([&] { loop.stop(); });
    EXPECT_THROW(loop.run_until_complete(give(1)), std::logic_error);
    loop.close();
    EXPECT_TRUE(errors.reports().empty());
}

TEST_F(RunUntilComplete, EXC_10_an_exception_in_one_task_interrupts_no_other) {
    const auto body = [&]() -> Coro<> {
        (void)create_task(fail());
        auto good = create_task(give(1));
        const int value = co_await good;
        log.push_back(std::to_string(value));
    };
    loop.run_until_complete(body());
    EXPECT_EQ(log, Log{"1"});
    EXPECT_EQ(errors.messages(), std::vector<std::string>{"Task exception was never retrieved"});
}

}  // namespace
}  // namespace asyncio
