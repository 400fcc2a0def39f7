// SPDX-License-Identifier: MIT
#include <asyncio/task/as_completed.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/wait_for.hpp>

#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

using Tasks = std::vector<Task<int>>;

Tasks after_seconds(std::initializer_list<int> seconds) {
    Tasks tasks;
    for (const int s : seconds) tasks.push_back(create_task(later(s, std::chrono::seconds(s))));
    return tasks;
}

TEST(AsCompleted, ASCP_01_ASCP_02_gives_the_callers_tasks_as_they_finish) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({3, 1, 2});
        std::vector<int> results;
        Tasks order;
        for (auto it = as_completed(tasks); auto next = co_await it.next();) {
            order.push_back(*next);
            results.push_back(co_await *next);
        }
        EXPECT_EQ(results, (std::vector<int>{1, 2, 3}));
        EXPECT_EQ(order, (Tasks{tasks[1], tasks[2], tasks[0]}));
    });
}

TEST(AsCompleted, ASCP_02_coroutines_become_tasks) {
    testing::run([]() -> Coro<> {
        std::vector<Coro<int>> work;
        for (const int s : {2, 1}) work.push_back(later(s, std::chrono::seconds(s)));
        std::vector<int> results;
        for (auto it = as_completed(std::move(work)); auto next = co_await it.next();) {
            static_assert(std::is_same_v<decltype(next), std::optional<Task<int>>>);
            results.push_back(co_await *next);
        }
        EXPECT_EQ(results, (std::vector<int>{1, 2}));
    });
}

TEST(AsCompleted, ASCP_03_steps_may_be_made_ahead_and_awaited_in_any_order) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({3, 1, 2});
        auto it = as_completed(tasks);
        auto a = it.next();
        auto b = it.next();
        auto c = it.next();
        auto d = it.next();
        const auto first = co_await std::move(c);
        const auto second = co_await std::move(a);
        const auto third = co_await std::move(b);
        const auto none = co_await std::move(d);
        EXPECT_EQ(first, tasks[1]);
        EXPECT_EQ(second, tasks[2]);
        EXPECT_EQ(third, tasks[0]);
        EXPECT_FALSE(none.has_value());
    });
}

TEST(AsCompleted, several_tasks_may_share_an_iterator) {
    testing::run([]() -> Coro<> {
        std::vector<int> results;
        const Tasks tasks = after_seconds({3, 1, 2, 5, 4});
        const auto it = as_completed(tasks);
        const auto take = [&]() -> Coro<> {
            while (auto next = co_await it.next()) results.push_back(co_await *next);
        };
        co_await gather(take(), take(), take());
        EXPECT_EQ(results, (std::vector<int>{1, 2, 3, 4, 5}));
    });
}

TEST(AsCompleted, ASCP_04_duplicates_count_once) {
    testing::run([]() -> Coro<> {
        const Task<int> t = create_task(later(1, 1s));
        const Tasks tasks{t, t, t};
        int steps = 0;
        for (auto it = as_completed(tasks); auto next = co_await it.next();) ++steps;
        EXPECT_EQ(steps, 1);
    });
}

TEST(AsCompleted, ASCP_05_the_timeout_ends_each_outstanding_step) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        const Tasks tasks = after_seconds({3, 1, 4});
        auto it = as_completed(tasks, 2s);
        const auto first = co_await it.next();
        EXPECT_EQ(first->result(), 1);
        for (int i = 0; i < 2; ++i) {
            const auto outcome = co_await as_outcome(it.next());
            EXPECT_TRUE(error_of(outcome).starts_with("asyncio::TimeoutError"));
        }
        EXPECT_EQ(get_running_loop().time() - start, 2s);
        const auto end = co_await it.next();
        EXPECT_FALSE(end.has_value());
        const int v = co_await tasks[0];
        EXPECT_EQ(v, 3);
    });
}

TEST(AsCompleted, ASCP_05_what_was_done_in_time_is_given_after_it) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({1, 3});
        auto it = as_completed(tasks, 2s);
        co_await sleep(10s);
        const auto first = co_await it.next();
        EXPECT_EQ(first, tasks[0]);
        const auto second = co_await as_outcome(it.next());
        EXPECT_TRUE(error_of(second).starts_with("asyncio::TimeoutError"));
    });
}

TEST(AsCompleted, ASCP_06_the_timer_goes_with_the_last_result) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({1, 2});
        int steps = 0;
        for (auto it = as_completed(tasks, 100s); auto next = co_await it.next();) {
            ++steps;
            EXPECT_EQ(get_running_loop().timers().size(), steps == 1 ? 2u : 0u);
        }
        EXPECT_EQ(steps, 2);
    });
}

TEST(AsCompleted, ASCP_07_it_may_be_left_and_resumed_and_dropped) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({1, 2, 3});
        {
            auto it = as_completed(tasks, 50s);
            for (int steps = 0; auto next = co_await it.next();)
                if (++steps == 1) break;
            const auto second = co_await it.next();
            EXPECT_EQ(second, tasks[1]);
        }
        EXPECT_EQ(get_running_loop().timers().size(), 1u);  // the third task's sleep
        const int v = co_await tasks[2];
        EXPECT_EQ(v, 3);
    });
}

TEST(AsCompleted, ASCP_07_a_cancelled_step_takes_nothing) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({2});
        auto it = as_completed(tasks);
        const auto early = co_await as_outcome(wait_for(it.next(), 1s));
        EXPECT_TRUE(error_of(early).starts_with("asyncio::TimeoutError"));
        const auto next = co_await it.next();
        EXPECT_EQ(next, tasks[0]);
    });
}

TEST(AsCompleted, ASCP_08_a_failure_does_not_end_the_iteration) {
    testing::run([]() -> Coro<> {
        const Tasks tasks{create_task(fail_later("x", 1s)), create_task(later(2, 2s))};
        Events events;
        for (auto it = as_completed(tasks); auto next = co_await it.next();) {
            const auto outcome = co_await as_outcome(*next);
            events.push_back(outcome ? std::to_string(*outcome) : error_of(outcome));
        }
        EXPECT_EQ(events, (Events{"std::runtime_error: x", "2"}));
    });
}

template <class T>
concept CanIterate = requires(T t) { as_completed(t); };

TEST(AsCompleted, ASCP_09_needs_a_collection) {
    static_assert(!CanIterate<Task<int>>);
    static_assert(!CanIterate<Coro<int>>);
    static_assert(CanIterate<std::vector<Future<int>>>);
    testing::run([]() -> Coro<> {
        const Tasks none;
        auto it = as_completed(none, 1s);
        const auto end = co_await it.next();
        EXPECT_FALSE(end.has_value());
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
    });
}

TEST(AsCompleted, ASCP_10_needs_a_running_loop) {
    const Tasks none;
    EXPECT_THROW((void)as_completed(none), std::logic_error);
}

TEST(AsCompleted, takes_three_iterations) {
    testing::run([]() -> Coro<> {
        std::vector<Coro<int>> work;
        work.push_back(at_once(1));
        Iterations iterations;
        auto it = as_completed(std::move(work));
        const auto next = co_await it.next();
        EXPECT_EQ(iterations.count(), 3);
        EXPECT_EQ(next->result(), 1);
    });
}

TEST(AsCompleted, futures_of_different_types) {
    testing::run([]() -> Coro<> {
        const std::vector<AnyFuture> mixed{create_task(sleep(2s)), create_task(later(1, 1s))};
        auto it = as_completed(mixed);
        const auto first = co_await it.next();
        EXPECT_EQ(first, mixed[1]);
    });
}

TEST(AsCompleted, dropped_or_closed_at_any_point) {
    for (int at = 0; at < 8; ++at) {
        for (const bool close : {false, true}) {
            const auto loop = testing::make_virtual_loop();
            testing::ErrorLog errors(*loop);
            Task<> t = loop->create_task([]() -> Coro<> {
                Future<int> done;
                done.set_result(1);
                const std::vector<AnyFuture> all{create_task(at_once(1)), done,
                                                 create_task(turns(4))};
                auto it = as_completed(all, 1s);
                Task<std::optional<AnyFuture>> other = create_task(it.next());
                (void)co_await it.next();
                (void)co_await it.next();
                co_await other;
            });
            for (int i = 0; i < at; ++i) {
                loop->stop();
                loop->run_forever();
            }
            if (!close) {
                t.cancel();
                (void)loop->run_until_complete(as_outcome(t));
                EXPECT_TRUE(t.done());
            }
            loop->close();
        }
    }
}

}  // namespace
}  // namespace asyncio
