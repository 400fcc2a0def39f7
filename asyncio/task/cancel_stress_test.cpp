// SPDX-License-Identifier: MIT
//
// Cancelling under stress: circles and long chains of tasks, every suspension point, storms.
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/timeout.hpp>
#include <asyncio/task/with_cleanup.hpp>

#include <memory>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

TEST(CancelStress, a_circle_of_tasks_can_be_cancelled) {
    for (const int size : {2, 3, 7}) {
        for (const int tail : {0, 1, 5}) {
            testing::run([=]() -> Coro<> {
                std::vector<Task<>> tasks(static_cast<std::size_t>(size + tail));
                const auto wait_on = [&](std::size_t i) -> Coro<> { co_await tasks[i]; };
                for (std::size_t i = 0; i < tasks.size(); ++i) {
                    const std::size_t next = i + 1 < tasks.size() ? i + 1 : std::size_t(tail);
                    tasks[i] = create_task(wait_on(next));
                }
                co_await turns(3);
                tasks[0].cancel("enough");
                tasks[0].cancel("again");
                tasks.back().cancel("again");
                co_await turns(30);
                for (const Task<>& t : tasks) EXPECT_TRUE(t.cancelled());
            });
        }
    }
}

TEST(CancelStress, run_ends_though_tasks_wait_for_each_other) {
    Task<> a;
    Task<> b;
    testing::run([&]() -> Coro<> {
        a = create_task([&]() -> Coro<> { co_await b; });
        b = create_task([&]() -> Coro<> { co_await a; });
        co_await turns(2);
    });
    EXPECT_TRUE(a.cancelled());
    EXPECT_TRUE(b.cancelled());
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kChain = 100'000;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr int kChain = 100'000;
#else
constexpr int kChain = 1'000'000;
#endif
#else
constexpr int kChain = 1'000'000;
#endif

Task<> chain_of_tasks(int length) {
    Task<> last = create_task(forever());
    for (int i = 1; i < length; ++i)
        last = create_task([t = std::move(last)]() -> Coro<> { co_await t; });
    return last;
}

TEST(CancelStress, a_long_chain_of_tasks_is_cancelled_without_recursion) {
    testing::run([]() -> Coro<> {
        Task<> outermost = chain_of_tasks(kChain);
        co_await turns(2);
        EXPECT_TRUE(outermost.cancel());
        (void)co_await as_outcome(outermost);
        EXPECT_TRUE(outermost.cancelled());
    });
}

TEST(CancelStress, a_long_chain_of_tasks_is_destroyed_with_its_loop) {
    const auto loop = testing::make_virtual_loop();
    int reported = 0;
    loop->set_exception_handler([&](EventLoop&, const ExceptionContext&) { ++reported; });
    const auto main = []() -> Coro<> {
        Task<> dropped = chain_of_tasks(kChain / 10);
        co_await turns(2);
    };
    loop->run_until_complete(main());
    loop->close();
    EXPECT_EQ(reported, kChain / 10);
}

/// A body with every kind of suspension; `log` counts how far it came.
Coro<int> many_suspensions(int& steps) {
    co_await sleep(0s);
    ++steps;
    co_await sleep(1ms);
    ++steps;
    Future<int> f;
    get_running_loop().call_soon([f] {
        if (!f.done()) f.set_result(1);
    });
    co_await f;
    ++steps;
    co_await create_task(return_at_once());
    ++steps;
    co_await gather(turns(2), sleep(1ms), at_once(1));
    ++steps;
    (void)co_await as_outcome(fail_later("x", 1ms));
    ++steps;
    co_return steps;
}

TEST(CancelStress, at_every_suspension_point_it_unwinds_and_leaves_nothing) {
    int cancelled = 0;
    for (int after = 0; after < 40; ++after) {
        int steps = 0;
        testing::run([&]() -> Coro<> {
            Task<int> t = create_task(many_suspensions(steps));
            for (int i = 0; i < after; ++i) {
                co_await sleep(0s);
                testing::clock_of(get_running_loop()).advance(200us);
            }
            t.cancel();
            const auto outcome = co_await as_outcome(t);
            if (outcome.cancelled()) ++cancelled;
            // as_outcome(fail_later()) swallows one: then it ends well
            EXPECT_TRUE(outcome || outcome.cancelled());
            co_await turns(3);
            EXPECT_EQ(all_tasks().size(), 1u);
            EXPECT_EQ(get_running_loop().timers().size(), 0u);
        });
    }
    EXPECT_GT(cancelled, 10);
    EXPECT_LT(cancelled, 40);
}

TEST(CancelStress, sleep_against_cancel_twenty_thousand_rounds) {
    constexpr int kRounds = 20'000;
    int cancelled = 0;
    int slept = 0;
    int both = 0;
    run([&]() -> Coro<> {  // deadline: real time, so that neither side always wins
        EventLoop& loop = get_running_loop();
        Duration bias{};  // follows whoever wins, however slow this build is
        for (int i = 0; i < kRounds; ++i) {
            const Duration nap((i * 37) % 4000);
            const Duration jitter((i * 53) % 2000 - 1000);
            Task<> t = create_task([nap]() -> Coro<> { co_await sleep(nap); });
            TimerHandle timer = loop.call_later(nap + bias + jitter, [t] { t.cancel("storm"); });
            const auto outcome = co_await as_outcome(t);
            timer.cancel();
            if (outcome.cancelled()) {
                ++cancelled;
                bias += 50ns;
                EXPECT_EQ(error_of(outcome), "CancelledError: storm");
            } else {
                ++slept;
                bias -= 50ns;
                if (t.cancelling() > 0) ++both;
            }
        }
        EXPECT_EQ(loop.timers().size(), 0u);
    });
    EXPECT_EQ(cancelled + slept, kRounds);
    EXPECT_GE(cancelled, 500);
    EXPECT_GE(slept, 500);
    EXPECT_EQ(both, 0);  // a request that was accepted is never lost
}

TEST(CancelStress, done_callbacks_may_cancel) {
    testing::run([]() -> Coro<> {
        Task<> a = create_task(sleep(1s));
        Task<> b = create_task(sleep(1s));
        Task<> c = create_task(forever());
        a.add_done_callback([&](Task<>& t) {
            EXPECT_FALSE(t.cancel());
            b.cancel();
            c.cancel();
        });
        (void)co_await as_outcome(c);
        EXPECT_FALSE(a.cancelled());
        EXPECT_FALSE(b.cancelled());  // it was done in the same iteration
        EXPECT_TRUE(c.cancelled());
    });
}

TEST(CancelStress, thousands_cancelled_at_once) {
    testing::run([]() -> Coro<> {
        std::vector<Task<>> tasks;
        for (int i = 0; i < 10'000; ++i) tasks.push_back(create_task(forever()));
        co_await sleep(0s);
        for (const Task<>& t : tasks) t.cancel();
        co_await turns(1);
        for (const Task<>& t : tasks) EXPECT_TRUE(t.cancelled());
        EXPECT_EQ(all_tasks().size(), 1u);
    });
}

}  // namespace
}  // namespace asyncio
