// SPDX-License-Identifier: MIT
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <memory>
#include <string>

namespace asyncio {
namespace {

using namespace task_tests;

TEST(AsOutcome, gives_a_value_or_an_error_and_throws_nothing) {
    testing::run([]() -> Coro<> {
        const Outcome<int> good = co_await as_outcome(at_once(1));
        EXPECT_TRUE(good.has_value());
        EXPECT_EQ(*good, 1);
        EXPECT_EQ(good.error(), nullptr);
        const Outcome<int> bad = co_await as_outcome(fail_at_once("x"));
        EXPECT_FALSE(bad);
        EXPECT_EQ(error_of(bad), "std::runtime_error: x");
        EXPECT_THROW((void)bad.value(), std::runtime_error);
        const Outcome<> nothing = co_await as_outcome(return_at_once());
        EXPECT_TRUE(nothing);
    });
}

TEST(AsOutcome, does_not_suspend_by_itself) {
    testing::run([]() -> Coro<> {
        Iterations iterations;
        (void)co_await as_outcome(at_once(1));
        EXPECT_EQ(iterations.count(), 0);
    });
}

TEST(AsOutcome, takes_move_only_results_out) {
    testing::run([]() -> Coro<> {
        Task<std::unique_ptr<int>> t =
            create_task([]() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(4); });
        auto outcome = co_await as_outcome(std::move(t));
        const std::unique_ptr<int> p = std::move(outcome).value();
        EXPECT_EQ(*p, 4);
    });
}

TEST(AsOutcome, takes_tasks_futures_and_sleeps_and_leaves_named_ones_usable) {
    testing::run([]() -> Coro<> {
        Task<std::string> t = create_task(later(std::string(40, 'x'), 1s));
        const auto first = co_await as_outcome(t);
        EXPECT_EQ(*first, std::string(40, 'x'));
        EXPECT_EQ(t.result(), *first);
        Future<int> f;
        f.cancel("gone");
        const auto second = co_await as_outcome(f);
        EXPECT_TRUE(second.cancelled());
        const auto third = co_await as_outcome(sleep(1s));
        EXPECT_TRUE(third);
    });
}

TEST(AsOutcome, a_cancellation_is_an_outcome_and_can_be_passed_on) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> t = create_task([&]() -> Coro<> {
            const auto outcome = co_await as_outcome(forever());
            EXPECT_TRUE(outcome.cancelled());
            co_await sleep(1s);  // what catch blocks cannot do
            events.push_back("cleaned up");
            outcome.value();
            events.push_back("not reached");
        });
        co_await sleep(0s);
        t.cancel();
        (void)co_await as_outcome(t);
        EXPECT_TRUE(t.cancelled());
        EXPECT_EQ(events, (Events{"cleaned up"}));
    });
}

}  // namespace
}  // namespace asyncio
