// SPDX-License-Identifier: MIT
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/shield.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

Coro<int> value_after(Duration delay, int value) {
    co_await sleep(delay);
    co_return value;
}

Coro<int> fail_after(Duration delay) {
    co_await sleep(delay);
    throw std::runtime_error("late");
}

TEST(Shield, SHLD_01_passes_result_and_exception) {
    testing::run([]() -> Coro<> {
        const int value = co_await shield(value_after(1s, 7));
        EXPECT_EQ(value, 7);
        const Outcome<int> failed = co_await as_outcome(shield(fail_after(1s)));
        EXPECT_EQ(describe(failed.error()), "std::runtime_error: late");
    });
}

TEST(Shield, SHLD_02_cancelling_the_outer_leaves_the_inner) {
    testing::run([]() -> Coro<> {
        Task<int> inner = create_task(value_after(2s, 3));
        Future<int> outer = shield(inner);
        EXPECT_TRUE(outer.cancel("enough"));
        EXPECT_TRUE(outer.cancelled());
        const Outcome<int> cancelled = co_await as_outcome(outer);
        EXPECT_TRUE(cancelled.cancelled());
        EXPECT_EQ(inner.cancelling(), 0u);
        const int value = co_await inner;
        EXPECT_EQ(value, 3);
    });
}

TEST(Shield, SHLD_02_cancelling_the_awaiting_task_leaves_the_inner) {
    testing::run([]() -> Coro<> {
        Task<int> inner = create_task(value_after(2s, 3));
        auto wait = [&inner]() -> Coro<int> { co_return co_await shield(inner); };
        Task<int> waiter = create_task(wait);
        co_await sleep(1s);
        waiter.cancel();
        const Outcome<int> outcome = co_await as_outcome(waiter);
        EXPECT_TRUE(outcome.cancelled());
        const int value = co_await inner;
        EXPECT_EQ(value, 3);
    });
}

TEST(Shield, SHLD_03_cancelling_the_inner_cancels_the_outer) {
    testing::run([]() -> Coro<> {
        Task<int> inner = create_task(value_after(2s, 3));
        Future<int> outer = shield(inner);
        co_await sleep(0s);
        inner.cancel("inner");
        const Outcome<int> outcome = co_await as_outcome(outer);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_TRUE(outer.cancelled());
    });
}

TEST(Shield, SHLD_04_a_done_future_is_returned_itself) {
    testing::run([]() -> Coro<> {
        Task<int> inner = create_task(value_after(0s, 3));
        co_await inner;
        EXPECT_EQ(AnyFuture(shield(inner)), AnyFuture(inner));
    });
}

TEST(Shield, SHLD_05_nothing_is_reported_when_the_inner_succeeds) {
    testing::ErrorLog* seen = nullptr;
    std::size_t reports = 1;
    testing::run([&]() -> Coro<> {
        testing::ErrorLog log(get_running_loop());
        seen = &log;
        Task<int> inner = create_task(value_after(1s, 1));
        shield(inner).cancel();
        co_await inner;
        co_await sleep(1s);
        reports = log.reports().size();
    });
    EXPECT_NE(seen, nullptr);
    EXPECT_EQ(reports, 0u);
}

TEST(Shield, SHLD_06_a_late_failure_is_reported_once_for_all_shields) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog log(get_running_loop());
        {
            Task<int> inner = create_task(fail_after(1s));
            shield(inner).cancel();
            shield(inner).cancel();
            co_await sleep(2s);
        }
        co_await sleep(1s);
        EXPECT_EQ(log.reports().size(), 1u);
        if (log.reports().empty()) co_return;
        const std::string message = log.reports().front().message;
        EXPECT_NE(message.find("exception in shielded future"), std::string::npos) << message;
    });
}

TEST(Shield, SHLD_07_gather_of_shields) {
    testing::run([]() -> Coro<> {
        Task<int> inner = create_task(value_after(1s, 5));
        auto both = gather(shield(inner), shield(inner));
        co_await sleep(0s);
        both.cancel();
        const auto outcome = co_await as_outcome(both);
        EXPECT_TRUE(outcome.cancelled());
        const int value = co_await inner;
        EXPECT_EQ(value, 5);
    });
}

TEST(Shield, SHLD_08_shield_of_a_gather) {
    testing::run([]() -> Coro<> {
        Task<int> inner = create_task(value_after(1s, 5));
        auto both = gather(inner, value_after(1s, 6));
        shield(both).cancel();
        const auto [five, six] = co_await both;
        EXPECT_EQ(five, 5);
        EXPECT_EQ(six, 6);
    });
}

TEST(Shield, WFOR_12_a_timeout_leaves_the_shielded_work_running) {
    testing::run([]() -> Coro<> {
        Task<int> inner = create_task(value_after(2s, 9));
        Future<int> outer = shield(inner);
        const Outcome<int> outcome = co_await as_outcome(wait_for(outer, 1s));
        EXPECT_EQ(describe(outcome.error()).substr(0, 21), "asyncio::TimeoutError");
        EXPECT_TRUE(outer.cancelled());
        EXPECT_FALSE(inner.done());
        const int value = co_await inner;
        EXPECT_EQ(value, 9);
    });
}

TEST(Shield, WFOR_13_no_time_at_all) {
    testing::run([]() -> Coro<> {
        Task<int> inner = create_task(value_after(2s, 9));
        const Outcome<int> outcome = co_await as_outcome(wait_for(shield(inner), 0s));
        EXPECT_EQ(describe(outcome.error()).substr(0, 21), "asyncio::TimeoutError");
        EXPECT_FALSE(inner.done());
        const int value = co_await inner;
        EXPECT_EQ(value, 9);
    });
}

TEST(Shield, a_dropped_shield_of_pending_work_leaves_nothing_behind) {
    testing::run([]() -> Coro<> {
        Future<int> inner = get_running_loop().create_future<int>();
        {
            const Future<int> outer = shield(inner);
        }
        inner.set_result(1);
        co_await sleep(0s);
        EXPECT_EQ(inner.result(), 1);
    });
}

TEST(Shield, SHLD_09_cancelled_shields_leave_the_inner_future_alone) {
    testing::run([]() -> Coro<> {
        Future<std::shared_ptr<int>> inner;
        const auto value = std::make_shared<int>(1);
        for (int i = 0; i < 100; ++i) {
            const Future<std::shared_ptr<int>> outer = shield(inner);
            outer.cancel();
            EXPECT_EQ(outer.core().references(), 1u);  // nobody else holds it
        }
        int awaiters = 0;
        int waiters = 0;
        inner.core().for_each_waiter([&](task::DoneWaiter& waiter) {
            ++waiters;
            if (waiter.awaiter() != nullptr) ++awaiters;
        });
        EXPECT_EQ(awaiters, 0);
        EXPECT_LE(waiters, 1);  // who reports a late failure, one for all of them
        inner.set_result(value);
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_EQ(value.use_count(), 2);
    });
}

TEST(Shield, SHLD_10_of_a_coroutine_needs_a_running_loop) {
    EXPECT_THROW((void)shield(value_after(1s, 1)), std::logic_error);
}

TEST(Shield, move_only_results_pass) {
    testing::run([]() -> Coro<> {
        auto make = []() -> Coro<std::unique_ptr<int>> {
            co_await sleep(1s);
            co_return std::make_unique<int>(4);
        };
        const std::unique_ptr<int> value = co_await shield(make());
        EXPECT_EQ(*value, 4);
    });
}

}  // namespace
}  // namespace asyncio
