// SPDX-License-Identifier: MIT
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/wait.hpp>

#include <array>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

using Tasks = std::vector<Task<int>>;

/// Tasks that end after so many seconds each, with that number.
Tasks after_seconds(std::initializer_list<int> seconds) {
    Tasks tasks;
    for (const int s : seconds) tasks.push_back(create_task(later(s, std::chrono::seconds(s))));
    return tasks;
}

Duration since(TimePoint start) { return get_running_loop().time() - start; }

std::size_t waiters_of(const AnyFuture& future) {
    std::size_t count = 0;
    future.core().for_each_waiter([&](task::DoneWaiter&) { ++count; });
    return count;
}

TEST(Wait, WAIT_01_until_all_are_done) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        const Tasks tasks = after_seconds({2, 3, 1});
        const auto [done, pending] = co_await wait(tasks);
        EXPECT_EQ(done, tasks);  // in the order given
        EXPECT_TRUE(pending.empty());
        EXPECT_EQ(since(start), 3s);
    });
}

TEST(Wait, WAIT_02_until_one_is_done) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        const Tasks tasks = after_seconds({3, 1, 2});
        const auto [done, pending] = co_await wait(tasks, {.return_when = FIRST_COMPLETED});
        EXPECT_EQ(since(start), 1s);
        EXPECT_EQ(done, Tasks{tasks[1]});
        EXPECT_EQ(pending, (Tasks{tasks[0], tasks[2]}));
        for (const Task<int>& t : pending) EXPECT_EQ(t.cancelling(), 0u);
        co_await wait(pending);
        EXPECT_EQ(tasks[0].result(), 3);
    });
}

TEST(Wait, WAIT_03_all_that_are_done_by_then_are_reported) {
    testing::run([]() -> Coro<> {
        Tasks tasks;
        for (int i = 0; i < 3; ++i) tasks.push_back(create_task(at_once(i)));
        tasks.push_back(create_task(later(9, 1s)));
        const auto [done, pending] = co_await wait(tasks, {.return_when = FIRST_COMPLETED});
        EXPECT_EQ(done.size(), 3u);
        EXPECT_EQ(pending.size(), 1u);
    });
}

TEST(Wait, WAIT_04_until_one_fails_and_being_cancelled_is_no_failure) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Tasks tasks = after_seconds({1, 5});
        tasks.push_back(create_task(fail_later("x", 3s)));
        get_running_loop().call_later(2s, [t = tasks[1]] { t.cancel(); });
        tasks.push_back(create_task(later(4, 4s)));
        const auto [done, pending] = co_await wait(tasks, {.return_when = FIRST_EXCEPTION});
        EXPECT_EQ(since(start), 3s);
        EXPECT_EQ(done.size(), 3u);
        EXPECT_EQ(pending, Tasks{tasks[3]});
        EXPECT_EQ(describe(tasks[2].exception()), "std::runtime_error: x");
    });
}

TEST(Wait, WAIT_05_FIRST_EXCEPTION_without_one_waits_for_all_with_one_for_none) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        const Tasks tasks = after_seconds({1, 2});
        const auto result = co_await wait(tasks, {.return_when = FIRST_EXCEPTION});
        EXPECT_EQ(result.done.size(), 2u);
        EXPECT_EQ(since(start), 2s);
        Tasks failed{create_task(fail_at_once("x")), create_task(later(1, 1s))};
        co_await turns(2);
        Iterations iterations;
        const auto [done, pending] = co_await wait(failed, {.return_when = FIRST_EXCEPTION});
        EXPECT_EQ(iterations.count(), 2);
        EXPECT_EQ(done, Tasks{failed[0]});
        EXPECT_TRUE(done[0].exception());
    });
}

TEST(Wait, WAIT_06_what_children_throw_is_not_raised) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        {
            const Tasks tasks{create_task(fail_at_once("a")), create_task(fail_later("b", 1s))};
            const auto [done, pending] = co_await wait(tasks);
            EXPECT_EQ(done.size(), 2u);
        }
        EXPECT_EQ(errors.reports().size(), 2u);  // and is not retrieved by it
    });
}

TEST(Wait, WAIT_07_when_the_time_is_up_it_returns_and_cancels_nothing) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        const Tasks tasks = after_seconds({3, 1});
        const auto [done, pending] = co_await wait(tasks, {.timeout = 2s});
        EXPECT_EQ(since(start), 2s);
        EXPECT_EQ(done, Tasks{tasks[1]});
        EXPECT_EQ(pending, Tasks{tasks[0]});
        EXPECT_EQ(tasks[0].cancelling(), 0u);
        const auto at_once = co_await wait(pending, {.timeout = 0s});
        EXPECT_EQ(at_once.pending.size(), 1u);
        EXPECT_EQ(since(start), 2s);
        const auto in_time = co_await wait(pending, {.timeout = 100s});
        EXPECT_EQ(in_time.done.size(), 1u);
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
    });
}

TEST(Wait, WAIT_08_WAIT_13_cancelling_it_leaves_the_children_alone) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({3, 4});
        Task<> waiter =
            create_task([&]() -> Coro<> { (void)co_await wait(tasks, {.timeout = 10s}); });
        co_await sleep(1s);
        EXPECT_EQ(waiters_of(tasks[0]), 1u);
        waiter.cancel("no longer");
        const auto outcome = co_await as_outcome(waiter);
        EXPECT_EQ(error_of(outcome), "CancelledError: no longer");
        EXPECT_EQ(waiters_of(tasks[0]), 0u);
        EXPECT_EQ(tasks[0].cancelling(), 0u);
        const int v = co_await tasks[0];
        EXPECT_EQ(v, 3);
        co_await tasks[1];
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
    });
}

TEST(Wait, WAIT_09_duplicates_collapse) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({1, 2});
        const Tasks doubled{tasks[0], tasks[1], tasks[0], tasks[0], tasks[1]};
        const auto [done, pending] = co_await wait(doubled);
        EXPECT_EQ(done, tasks);
    });
}

template <class T>
concept CanWait = requires(T t) { wait(t); };

TEST(Wait, WAIT_10_misuse) {
    static_assert(!CanWait<Task<int>>);
    static_assert(!CanWait<Coro<int>>);
    static_assert(!CanWait<std::vector<int>>);
    testing::run([]() -> Coro<> {
        const Tasks none;
        const auto empty = co_await as_outcome(wait(none));
        EXPECT_EQ(error_of(empty), "std::invalid_argument: wait() of nothing");
        const Tasks tasks = after_seconds({1});
        const auto mode =
            co_await as_outcome(wait(tasks, {.return_when = static_cast<ReturnWhen>(7)}));
        EXPECT_EQ(error_of(mode), "std::invalid_argument: invalid return_when value");
        const auto other_loop = testing::make_virtual_loop();
        {
            const std::vector<Future<int>> foreign{other_loop->create_future<int>()};
            const auto outcome = co_await as_outcome(wait(foreign));
            EXPECT_TRUE(error_of(outcome).starts_with("std::invalid_argument"));
        }
        other_loop->close();
    });
}

/// Each element once, made on the way.
struct OnePass {
    struct Iterator {
        Task<int> operator*() const { return create_task(at_once(n)); }
        void operator++() { ++n; }
        bool operator!=(int end) const { return n != end; }
        int n;
    };
    Iterator begin() { return {0}; }
    int end() const { return 3; }
};

TEST(Wait, WAIT_11_any_range) {
    testing::run([]() -> Coro<> {
        const auto generated = co_await wait(OnePass());
        EXPECT_EQ(generated.done.size(), 3u);
        const std::array<Task<int>, 2> array{create_task(at_once(1)), create_task(at_once(2))};
        const auto from_array = co_await wait(array);
        EXPECT_EQ(from_array.done[1].result(), 2);
    });
}

TEST(Wait, futures_of_different_types) {
    testing::run([]() -> Coro<> {
        Future<std::string> f;
        const std::vector<AnyFuture> mixed{create_task(forever()), f, create_task(at_once(1))};
        get_running_loop().call_later(1s, [f] { f.set_result("x"); });
        const auto [done, pending] = co_await wait(mixed, {.timeout = 5s});
        EXPECT_EQ(done, (std::vector<AnyFuture>{mixed[1], mixed[2]}));
        EXPECT_EQ(pending.size(), 1u);
        pending[0].cancel();
        const std::vector<AnyTask> tasks{create_task(at_once(1)), create_task(sleep(1s))};
        const auto all = co_await wait(tasks);
        EXPECT_EQ(all.done.size(), 2u);
        EXPECT_EQ(all.done[0].cancelling(), 0u);
    });
}

TEST(Wait, coroutines_become_tasks) {
    testing::run([]() -> Coro<> {
        std::vector<Coro<int>> work;
        for (int i = 1; i < 4; ++i) work.push_back(later(i, std::chrono::seconds(i)));
        const auto [done, pending] = co_await wait(std::move(work), {.timeout = 1500ms});
        static_assert(std::is_same_v<decltype(done), const std::vector<Task<int>>>);
        EXPECT_EQ(done.size(), 1u);
        EXPECT_EQ(done[0].result(), 1);
        EXPECT_EQ(pending.size(), 2u);
    });
}

TEST(Wait, WAIT_12_what_is_done_is_reported_at_the_next_opportunity) {
    testing::run([]() -> Coro<> {
        Iterations iterations;
        const Tasks tasks{create_task(at_once(1)), create_task(at_once(2))};
        (void)co_await wait(tasks);
        EXPECT_EQ(iterations.count(), 3);  // run, notice, wake
        const auto again = co_await wait(tasks);
        EXPECT_EQ(iterations.count(), 5);
        EXPECT_EQ(again.done, tasks);
    });
}

TEST(Wait, WAIT_13_nothing_of_it_stays_with_the_futures) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({1, 2, 3});
        (void)co_await wait(tasks, {.return_when = FIRST_COMPLETED});
        EXPECT_EQ(waiters_of(tasks[2]), 0u);
        (void)co_await wait(tasks, {.timeout = 500ms});
        EXPECT_EQ(waiters_of(tasks[1]), 0u);
    });
}

TEST(Wait, WAIT_14_a_completion_and_the_timeout_in_one_iteration) {
    testing::run([]() -> Coro<> {
        const Tasks tasks = after_seconds({1, 2});
        co_await turns(2);
        const auto [done, pending] = co_await wait(tasks, {.timeout = 1s});
        EXPECT_EQ(done, Tasks{tasks[0]});  // done, though nobody had noticed when time was up
    });
}

TEST(Wait, cancelled_or_closed_at_any_point) {
    for (int at = 0; at < 7; ++at) {
        for (const bool close : {false, true}) {
            const auto loop = testing::make_virtual_loop();
            testing::ErrorLog errors(*loop);
            Task<> t = loop->create_task([]() -> Coro<> {
                Tasks tasks{create_task(at_once(1)), create_task(swallow_cancel(1))};
                Future<int> done;
                done.set_result(1);
                const std::vector<AnyFuture> all{tasks[0], tasks[1], done};
                (void)co_await wait(all, {.timeout = 1s, .return_when = FIRST_COMPLETED});
                (void)co_await wait(all, {.timeout = 1s});
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
