// SPDX-License-Identifier: MIT
//
// run_coroutine_threadsafe and threadsafe(): a loop in one thread, its users in others.
#include <asyncio/thread/run_coroutine_threadsafe.hpp>
#include <asyncio/thread/thread_fixture_test.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>

namespace asyncio {
namespace {

using namespace thread_tests;

/// A loop that runs in a thread of its own until the end of the scope.
class LoopThread {
  public:
    LoopThread()
        : thread_([this] {
              started_.open();
              loop.run_forever();
          }) {
        started_.pass();
    }
    ~LoopThread() {
        if (thread_.joinable()) stop();
        loop.close();
    }
    void stop() {
        loop.call_soon_threadsafe([this] { loop.stop(); });
        thread_.join();
    }

    EventLoop loop;

  private:
    Gate started_;
    std::thread thread_;
};

Coro<int> add(int a, int b) {
    co_await sleep(0s);
    co_return a + b;
}

Coro<int> fail() {
    co_await sleep(0s);
    throw std::runtime_error("bad");
}

/// Waits for ever; tells when it began and when it was cancelled.
Coro<int> wait_for_cancel(Gate& began, Gate& cancelled) {
    began.open();
    try {
        co_await sleep(std::chrono::hours(24));
    } catch (const CancelledError&) {
        cancelled.open();
        throw;
    }
    co_return 0;
}

TEST(RunCoroutineThreadsafe, RCT_01_the_result_comes_to_the_thread_that_waits) {
    LoopThread other;
    EXPECT_EQ(run_coroutine_threadsafe(add(1, 2), other.loop).result(), 3);
    std::future<int> standard = run_coroutine_threadsafe(add(3, 4), other.loop);
    EXPECT_EQ(standard.get(), 7);
    const auto there = run_coroutine_threadsafe(
        [id = std::make_unique<int>(5)]() -> Coro<std::thread::id> {
            EXPECT_EQ(*id, 5);
            co_await sleep(0s);
            EXPECT_EQ(*id, 5);  // the function lives as long as its coroutine
            co_return std::this_thread::get_id();
        },
        other.loop);
    EXPECT_NE(there.result(), std::this_thread::get_id());
    run_coroutine_threadsafe(sleep(0s), other.loop).result();
    auto owned = run_coroutine_threadsafe(
        []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(6); }, other.loop);
    EXPECT_EQ(*std::move(owned).result(), 6);
}

TEST(RunCoroutineThreadsafe, RCT_02_exceptions_come_to_the_thread_that_waits) {
    LoopThread other;
    const auto future = run_coroutine_threadsafe(fail(), other.loop);
    EXPECT_EQ(error_from([&] { return future.result(); }), "std::runtime_error: bad");
    std::future<int> standard = run_coroutine_threadsafe(fail(), other.loop);
    EXPECT_THROW(standard.get(), std::runtime_error);
}

TEST(RunCoroutineThreadsafe, RCT_03_a_timeout_of_the_thread_then_cancelling_cancels_the_task) {
    LoopThread other;
    Gate began;
    Gate cancelled;
    const auto future = run_coroutine_threadsafe(wait_for_cancel(began, cancelled), other.loop);
    began.pass();
    EXPECT_THROW(future.result(1ms), TimeoutError);
    EXPECT_FALSE(future.done());
    EXPECT_TRUE(future.cancel());
    EXPECT_THROW(future.result(), CancelledError);
    cancelled.pass();  // the task was, too
}

TEST(RunCoroutineThreadsafe, RCT_03_cancelled_before_the_loop_looked_the_task_never_begins) {
    EventLoop loop;
    const auto future = run_coroutine_threadsafe(
        []() -> Coro<> {
            ADD_FAILURE() << "it began";
            co_return;
        },
        loop);
    EXPECT_TRUE(future.cancel());
    loop.run_until_complete(sleep(0s));
    EXPECT_TRUE(all_tasks(loop).empty());
    loop.close();
}

TEST(RunCoroutineThreadsafe, RCT_04_a_task_that_gets_cancelled_makes_the_future_cancelled) {
    LoopThread other;
    const auto future = run_coroutine_threadsafe(
        []() -> Coro<> {
            current_task().cancel();
            co_await sleep(std::chrono::hours(24));
        },
        other.loop);
    EXPECT_THROW(future.result(), CancelledError);
    EXPECT_TRUE(future.cancelled());
}

TEST(RunCoroutineThreadsafe, RCT_05_a_task_that_cannot_be_made_is_an_error_on_both_sides) {
    EventLoop loop;
    testing::ErrorLog errors(loop);
    Coro<int> coro = add(1, 2);
    const Coro<int> taken = std::move(coro);
    const auto future = run_coroutine_threadsafe(std::move(coro), loop);
    loop.run_until_complete(sleep(0s));
    EXPECT_THROW(future.result(), std::logic_error);
    EXPECT_EQ(errors.messages(), std::vector<std::string>{"Exception in callback"});
    loop.close();
}

template <class A>
concept Accepted = requires(A a, EventLoop& loop) { run_coroutine_threadsafe(std::move(a), loop); };

TEST(RunCoroutineThreadsafe, RCT_06_only_what_can_be_awaited_is_accepted) {
    static_assert(Accepted<Coro<int>> && Accepted<Coro<int> (*)()> && Accepted<Sleep>);
    static_assert(!Accepted<int> && !Accepted<std::string>);
    EventLoop loop;
    loop.close();
    EXPECT_THROW((void)run_coroutine_threadsafe(sleep(0s), loop), std::logic_error);
}

TEST(RunCoroutineThreadsafe, RCT_07_many_threads_submit_to_one_loop) {
    LoopThread other;
    std::vector<std::thread> users;
    std::atomic<int> sum{0};
    for (int i = 0; i < 8; ++i)
        users.emplace_back([&] {
            for (int n = 0; n < 100; ++n)
                sum += run_coroutine_threadsafe(add(n, 1), other.loop).result();
        });
    for (std::thread& user : users) user.join();
    EXPECT_EQ(sum, 8 * (99 * 100 / 2 + 100));
}

TEST(RunCoroutineThreadsafe, storms_of_cancellations_end_every_future_and_every_task) {
    LoopThread other;
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    const auto body = [&]() -> Coro<int> {
        ++begun;
        const auto outcome = co_await as_outcome(sleep(0s, 1));
        ++ended;
        co_return *outcome;
    };
    std::vector<std::thread> users;
    for (int i = 0; i < 3; ++i)
        users.emplace_back([&, i] {
            for (int n = 0; n < 500; ++n) {
                const auto future = run_coroutine_threadsafe(body, other.loop);
                if (n % 3 == i) future.cancel();
                if (n % 5 == 0) std::this_thread::yield();
                if (n % 2 == 0) future.cancel();
                future.wait();
            }
        });
    for (std::thread& user : users) user.join();
    const std::size_t left = run_coroutine_threadsafe(
                                 []() -> Coro<std::size_t> {
                                     for (int i = 0; i < 4; ++i) co_await sleep(0s);
                                     co_return all_tasks().size();
                                 },
                                 other.loop)
                                 .result();
    EXPECT_EQ(left, 1u);  // the one that asks
    EXPECT_EQ(begun, ended);
}

TEST(RunCoroutineThreadsafe, a_loop_that_closes_cancels_what_is_waited_for) {
    ConcurrentFuture<int> running;
    ConcurrentFuture<int> posted;
    Gate began;
    Gate cancelled;
    {
        EventLoop loop;
        testing::ErrorLog errors(loop);
        running = run_coroutine_threadsafe(wait_for_cancel(began, cancelled), loop);
        loop.run_until_complete(sleep(1ms));
        began.pass();
        posted = run_coroutine_threadsafe(add(1, 2), loop);
        loop.close();
    }
    EXPECT_THROW(running.result(), CancelledError);
    EXPECT_THROW(posted.result(), CancelledError);
}

TEST(Threadsafe, a_task_of_another_loop_is_awaited_through_a_view) {
    LoopThread other;
    Gate began;
    Gate cancelled;
    const auto view = run_coroutine_threadsafe(
        [&]() -> Coro<ConcurrentFuture<int>> {
            co_return threadsafe(create_task(wait_for_cancel(began, cancelled)));
        },
        other.loop);
    asyncio::run([&]() -> Coro<> {
        const ConcurrentFuture<int> theirs = co_await view;
        EXPECT_EQ(co_await run_coroutine_threadsafe(add(1, 2), other.loop), 3);
        Task<int> waits = create_task([&]() -> Coro<int> { co_return co_await theirs; });
        co_await sleep(0s);
        co_await sleep(0s);
        waits.cancel();
        const auto outcome = co_await as_outcome(waits);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_TRUE(theirs.cancelled());
    });
    cancelled.pass();
}

TEST(Threadsafe, awaiting_the_task_itself_from_another_loop_is_refused) {
    EventLoop other;
    const Task<int> theirs = other.create_task(add(1, 2));
    asyncio::run([&]() -> Coro<> {
        const auto outcome = co_await as_outcome(theirs);
        EXPECT_EQ(error_of(outcome),
                  "std::logic_error: the awaited future is attached to a different loop");
    });
    EXPECT_EQ(other.run_until_complete(theirs), 3);
    other.close();
}

TEST(Threadsafe, the_value_stays_with_the_task_and_is_copied_for_others) {
    LoopThread other;
    const auto text = run_coroutine_threadsafe(
        []() -> Coro<std::string> {
            const Task<std::string> task =
                create_task([]() -> Coro<std::string> { co_return "kept"; });
            const ConcurrentFuture<std::string> view = threadsafe(task);
            co_await task;
            EXPECT_EQ(co_await view, "kept");
            co_return task.result() + view.result();
        },
        other.loop);
    EXPECT_EQ(text.result(), "keptkept");
}

TEST(Free, FREE_01_loops_in_ten_threads_do_not_see_each_others_tasks) {
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int i = 0; i < 10; ++i)
        threads.emplace_back([&] {
            asyncio::run([&]() -> Coro<> {
                const EventLoop& mine = get_running_loop();
                std::vector<Task<>> tasks;
                for (int n = 0; n < 100; ++n)
                    tasks.push_back(create_task([&]() -> Coro<> {
                        co_await sleep(0s);
                        const bool here = &current_task().get_loop() == &mine;
                        if (here && all_tasks().size() <= 101) ++right;
                    }));
                EXPECT_EQ(all_tasks().size(), 101u);
                co_await gather(std::move(tasks));
            });
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, 1000);
}

TEST(Free, FREE_02_the_tasks_of_a_loop_in_another_thread_are_counted_there) {
    // all_tasks(loop) belongs to the loop's thread; another thread asks the loop.
    LoopThread other;
    for (int i = 0; i < 10; ++i)
        (void)run_coroutine_threadsafe(sleep(std::chrono::hours(1)), other.loop);
    const auto count = run_coroutine_threadsafe(
        []() -> Coro<std::size_t> { co_return all_tasks().size(); }, other.loop);
    EXPECT_EQ(count.result(), 11u);
    other.stop();
    for (const AnyTask& task : all_tasks(other.loop)) task.task().do_not_report_pending();
}

TEST(Free, FREE_03_a_task_finished_in_another_thread_can_be_destroyed_here) {
    Task<std::string> task;
    std::thread([&] {
        asyncio::run([&]() -> Coro<> {
            task = create_task([]() -> Coro<std::string> { co_return std::string(100, 'x'); });
            co_await task;
        });
    }).join();
    EXPECT_TRUE(task.done());
    EXPECT_EQ(task.result().size(), 100u);
    task = {};
}

TEST(Free, FREE_04_debug_mode_detects_scheduling_from_a_foreign_thread) {
    EventLoop loop;
    loop.set_debug(true);
    const auto body = [&]() -> Coro<> {
        std::thread([&] {
            EXPECT_THROW(loop.call_soon([] {}), std::logic_error);
            EXPECT_THROW(loop.call_later(1s, [] {}), std::logic_error);
            EXPECT_THROW(loop.call_at(loop.time(), [] {}), std::logic_error);
            loop.call_soon_threadsafe([] {});
        }).join();
        co_await sleep(0s);
    };
    loop.run_until_complete(body());
    loop.close();
}

}  // namespace
}  // namespace asyncio
