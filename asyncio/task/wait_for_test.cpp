// SPDX-License-Identifier: MIT
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/task/with_cleanup.hpp>

#include <memory>
#include <string>

namespace asyncio {
namespace {

using namespace task_tests;

/// Runs `f` and says how much time passed.
template <class F>
Duration took(F&& f) {
    Duration duration{};
    testing::run([&]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        co_await f();
        duration = get_running_loop().time() - start;
    });
    return duration;
}

TEST(WaitFor, WFOR_01_gives_the_result_if_it_comes_in_time) {
    EXPECT_EQ(took([]() -> Coro<> {
                  const int v = co_await wait_for(later(5, 1s), 2s);
                  EXPECT_EQ(v, 5);
                  const auto failed = co_await as_outcome(wait_for(fail_later("x", 1s), 2s));
                  EXPECT_EQ(error_of(failed), "std::runtime_error: x");
                  EXPECT_EQ(get_running_loop().timers().size(), 0u);
              }),
              2s);
}

TEST(WaitFor, WFOR_01_takes_tasks_futures_and_sleeps) {
    testing::run([]() -> Coro<> {
        Task<int> t = create_task(later(1, 1s));
        const int a = co_await wait_for(t, 2s);
        const int again = co_await wait_for(std::move(t), 2s);
        EXPECT_EQ(a + again, 2);
        Future<std::unique_ptr<int>> f;
        get_running_loop().call_later(1s, [f] { f.set_result(std::make_unique<int>(3)); });
        const std::unique_ptr<int> p = co_await wait_for(std::move(f), 2s);
        EXPECT_EQ(*p, 3);
        co_await wait_for(sleep(1s), 2s);
    });
}

TEST(WaitFor, WFOR_02_without_a_limit_it_waits) {
    EXPECT_EQ(took([]() -> Coro<> {
                  const int v = co_await wait_for(later(5, 100h), std::nullopt);
                  EXPECT_EQ(v, 5);
              }),
              100h);
}

TEST(WaitFor, WFOR_03_on_expiry_the_work_is_cancelled_and_TimeoutError_thrown) {
    testing::run([]() -> Coro<> {
        Events events;
        try {
            co_await wait_for(note_cancel(events, "work"), 1s);
            ADD_FAILURE();
        } catch (const TimeoutError& e) {
            EXPECT_TRUE(is_cancelled_error(e.cause()));
            EXPECT_EQ(e.code().value(), ETIMEDOUT);
        }
        EXPECT_EQ(events, (Events{"work cancelled"}));
        Task<> t = create_task(forever());
        const auto outcome = co_await as_outcome(wait_for(t, 1s));
        EXPECT_TRUE(error_of(outcome).starts_with("asyncio::TimeoutError"));
        EXPECT_TRUE(t.cancelled());
    });
}

Coro<int> slow_clean_up(Duration delay, bool& ended) {
    try {
        co_await forever();
    } catch (const CancelledError&) {
    }
    co_await sleep(delay);
    ended = true;
    throw CancelledError();
}

TEST(WaitFor, WFOR_04_never_returns_while_the_work_still_runs) {
    EXPECT_EQ(took([]() -> Coro<> {
                  bool ended = false;
                  const auto outcome = co_await as_outcome(wait_for(slow_clean_up(10s, ended), 1s));
                  EXPECT_TRUE(ended);
                  EXPECT_TRUE(error_of(outcome).starts_with("asyncio::TimeoutError"));
                  ended = false;
                  Task<int> t = create_task(slow_clean_up(10s, ended));
                  const auto second = co_await as_outcome(wait_for(t, 1s));
                  EXPECT_TRUE(ended);
                  EXPECT_TRUE(error_of(second).starts_with("asyncio::TimeoutError"));
              }),
              22s);
}

TEST(WaitFor, WFOR_05_a_value_returned_instead_of_giving_way_is_delivered) {
    testing::run([]() -> Coro<> {
        const int a = co_await wait_for(swallow_cancel(5), 1s);
        EXPECT_EQ(a, 5);
        Task<int> t = create_task(swallow_cancel(6));
        const int b = co_await wait_for(t, 1s);
        EXPECT_EQ(b, 6);
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(WaitFor, WFOR_06_another_exception_replaces_TimeoutError) {
    testing::run([]() -> Coro<> {
        const auto body = []() -> Coro<> {
            try {
                co_await forever();
            } catch (const CancelledError&) {
                throw std::runtime_error("while dying");
            }
        };
        const auto outcome = co_await as_outcome(wait_for(body(), 1s));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: while dying");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(WaitFor, WFOR_07_with_no_time_only_what_is_done_counts) {
    for (const Duration limit : {Duration(0), Duration(-1s)}) {
        testing::run([limit]() -> Coro<> {
            Future<int> done;
            done.set_result(1);
            const int v = co_await wait_for(done, limit);
            EXPECT_EQ(v, 1);
            Events events;
            Task<> t = create_task(note_cancel(events, "task"));
            co_await sleep(0s);
            const auto outcome = co_await as_outcome(wait_for(t, limit));
            EXPECT_TRUE(error_of(outcome).starts_with("asyncio::TimeoutError"));
            EXPECT_TRUE(t.cancelled());
            EXPECT_EQ(events, (Events{"task cancelled"}));
            Task<int> stubborn = create_task(swallow_cancel(4));
            co_await sleep(0s);
            const int w = co_await wait_for(stubborn, limit);
            EXPECT_EQ(w, 4);
            EXPECT_EQ(current_task().cancelling(), 0u);
        });
    }
}

TEST(WaitFor, WFOR_08_with_no_time_a_coroutine_never_starts) {
    testing::run([]() -> Coro<> {
        bool started = false;
        const auto body = [&]() -> Coro<> {
            started = true;
            co_return;
        };
        const auto zero = co_await as_outcome(wait_for(body(), 0s));
        const auto negative = co_await as_outcome(wait_for(body(), -1s));
        EXPECT_TRUE(error_of(zero).starts_with("asyncio::TimeoutError"));
        EXPECT_TRUE(error_of(negative).starts_with("asyncio::TimeoutError"));
        EXPECT_FALSE(started);
    });
}

TEST(WaitFor, WFOR_09_cancelling_it_cancels_the_work) {
    for (const std::optional<Duration> limit :
         {std::optional<Duration>(10s), std::optional<Duration>()}) {
        testing::run([limit]() -> Coro<> {
            Events events;
            Task<> work = create_task(note_cancel(events, "task"));
            Task<> a = create_task(wait_for(work, limit));
            Task<> b = create_task(wait_for(note_cancel(events, "coroutine"), limit));
            co_await turns(2);
            a.cancel("stop");
            b.cancel("stop");
            const auto first = co_await as_outcome(a);
            const auto second = co_await as_outcome(b);
            EXPECT_EQ(error_of(first), "CancelledError: stop");
            EXPECT_EQ(error_of(second), "CancelledError: stop");
            EXPECT_TRUE(work.cancelled());
            EXPECT_EQ(events, (Events{"task cancelled: stop", "coroutine cancelled: stop"}));
        });
    }
}

TEST(WaitFor, WFOR_10_a_cancel_is_not_lost_when_the_result_is_ready) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<int> outer = create_task(wait_for(f, 10s));
        co_await sleep(0s);
        f.set_result(8);
        outer.cancel();
        (void)co_await as_outcome(outer);
        EXPECT_TRUE(outer.cancelled());
        EXPECT_EQ(f.result(), 8);
    });
}

TEST(WaitFor, WFOR_11_a_coroutine_runs_in_the_calling_task) {
    testing::run([]() -> Coro<> {
        const auto who = []() -> Coro<AnyTask> { co_return current_task(); };
        Iterations iterations;
        const AnyTask inside = co_await wait_for(who(), 1s);
        EXPECT_EQ(inside, current_task());
        EXPECT_EQ(iterations.count(), 0);  // what does not suspend does not suspend
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
    });
}

TEST(WaitFor, WFOR_14_a_result_just_before_the_timer_in_one_iteration_still_times_out) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Future<int> f;
        loop.call_later(1s, [f] { f.set_result(1); });  // armed before the timeout's timer
        const auto outcome = co_await as_outcome(wait_for(f, 1s));
        EXPECT_TRUE(error_of(outcome).starts_with("asyncio::TimeoutError"));
        EXPECT_EQ(f.result(), 1);
    });
}

TEST(WaitFor, WFOR_15_afterwards_the_callers_count_is_unchanged) {
    testing::run([]() -> Coro<> {
        for (int i = 0; i < 3; ++i) (void)co_await as_outcome(wait_for(forever(), 1s));
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(1s);
    });
}

TEST(WaitFor, nested_limits) {
    EXPECT_EQ(
        took([]() -> Coro<> {
            const auto inner_first = co_await as_outcome(wait_for(wait_for(forever(), 1s), 5s));
            EXPECT_TRUE(error_of(inner_first).starts_with("asyncio::TimeoutError"));
            const auto outer_first = co_await as_outcome(wait_for(wait_for(forever(), 5s), 1s));
            EXPECT_TRUE(error_of(outer_first).starts_with("asyncio::TimeoutError"));
            const auto both = co_await as_outcome(wait_for(wait_for(forever(), 1s), 1s));
            EXPECT_TRUE(error_of(both).starts_with("asyncio::TimeoutError"));
            EXPECT_EQ(current_task().cancelling(), 0u);
        }),
        3s);
}

TEST(WaitFor, the_longest_limit_is_no_overflow) {
    testing::run([]() -> Coro<> {
        const int v = co_await wait_for(later(1, 1s), Duration::max());
        EXPECT_EQ(v, 1);
    });
}

}  // namespace
}  // namespace asyncio
