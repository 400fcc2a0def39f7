// SPDX-License-Identifier: MIT
//
// A task that cancels itself: what its next await does, and how it ends.
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <memory>
#include <stdexcept>
#include <string>

namespace asyncio {
namespace {

using namespace task_tests;

Coro<> sleep_once(Events& events) {
    events.push_back("sleeping");
    co_await sleep(1s);
}

// --- oneself --------------------------------------------------------------------------------

TEST(Cancel, CANC_12_of_oneself_works_at_the_next_real_suspension) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> t = create_task([&]() -> Coro<> {
            current_task().cancel("self");
            Future<int> done;
            done.set_result(1);
            co_await done;
            co_await return_at_once();
            events.push_back("not yet");
            const auto waited = co_await as_outcome(sleep_once(events));
            events.push_back(error_of(waited));
            waited.value();
        });
        (void)co_await as_outcome(t);
        EXPECT_TRUE(t.cancelled());
        EXPECT_EQ(events, (Events{"not yet", "sleeping", "CancelledError: self"}));
    });
}

TEST(Cancel, CANC_12_of_oneself_before_each_kind_of_wait) {
    testing::run([]() -> Coro<> {
        Future<int> pending;
        Task<> other = create_task(forever());
        const auto until_cancelled = [](auto awaitable) -> Coro<std::string> {
            current_task().cancel("x");
            const auto outcome = co_await as_outcome(std::move(awaitable));
            co_return error_of(outcome);
        };
        const std::string zero = co_await create_task(until_cancelled(sleep(0s)));
        const std::string day = co_await create_task(until_cancelled(sleep(24h)));
        const std::string future = co_await create_task(until_cancelled(pending));
        const std::string task = co_await create_task(until_cancelled(other));
        const std::string group = co_await create_task(until_cancelled(gather(forever())));
        EXPECT_EQ(zero, "CancelledError: x");
        EXPECT_EQ(day, "CancelledError: x");
        EXPECT_EQ(future, "CancelledError: x");
        EXPECT_EQ(task, "CancelledError: x");
        EXPECT_EQ(group, "CancelledError: x");
        EXPECT_TRUE(pending.cancelled());
        EXPECT_TRUE(other.cancelled());
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
    });
}

TEST(Cancel, CANC_13_of_oneself_then_returning_loses_the_value) {
    testing::run([]() -> Coro<> {
        auto token = std::make_shared<int>();
        Task<std::shared_ptr<int>> t = create_task([token]() -> Coro<std::shared_ptr<int>> {
            current_task().cancel("lost");
            co_return token;
        });
        const auto outcome = co_await as_outcome(t);
        EXPECT_TRUE(t.cancelled());
        EXPECT_EQ(error_of(outcome), "CancelledError: lost");
        EXPECT_EQ(token.use_count(), 1);
    });
}

TEST(Cancel, CANC_14_of_oneself_then_throwing_ends_with_that_exception) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task([]() -> Coro<> {
            current_task().cancel();
            throw std::runtime_error("stronger");
            co_return;
        });
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "std::runtime_error: stronger");
        EXPECT_FALSE(t.cancelled());
    });
}

}  // namespace
}  // namespace asyncio
