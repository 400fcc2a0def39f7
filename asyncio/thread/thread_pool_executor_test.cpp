// SPDX-License-Identifier: MIT
//
// ThreadPoolExecutor and ConcurrentFuture, without a loop.
#include <asyncio/os/cpu.hpp>
#include <asyncio/thread/thread_fixture_test.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <stdexcept>

namespace asyncio {
namespace {

using namespace thread_tests;

TEST(ThreadPoolExecutor, threads_are_started_on_demand_and_idle_ones_reused) {
    ThreadPoolExecutor pool(3, "demand");
    EXPECT_EQ(pool.workers(), 0u);
    EXPECT_EQ(pool.submit(&os::name_of_this_thread).result(), "demand_0");
    {
        Blocker first(pool);
        Blocker second(pool);
        Blocker third(pool);
        EXPECT_LE(pool.workers(), 3u);
        auto waits = pool.submit([] { return 1; });
        EXPECT_EQ(pool.workers(), 3u);
        first.release();
        EXPECT_EQ(waits.result(), 1);
    }
    EXPECT_EQ(pool.max_workers(), 3u);
}

TEST(ThreadPoolExecutor, its_default_size_is_asyncios) {
    EXPECT_EQ(ThreadPoolExecutor::default_max_workers(),
              static_cast<std::size_t>(std::min(32, os::usable_cores() + 4)));
    EXPECT_EQ(ThreadPoolExecutor().max_workers(), ThreadPoolExecutor::default_max_workers());
    EXPECT_THROW(ThreadPoolExecutor(0), std::invalid_argument);
}

TEST(ThreadPoolExecutor, jobs_start_in_the_order_they_came) {
    ThreadPoolExecutor pool(1);
    std::vector<int> order;
    {
        Blocker busy(pool);
        for (int i = 0; i < 5; ++i) (void)pool.submit([&order, i] { order.push_back(i); });
    }
    pool.shutdown();
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(ThreadPoolExecutor, shutdown_runs_what_waits_or_cancels_it) {
    for (const bool cancel : {false, true}) {
        ThreadPoolExecutor pool(1);
        std::atomic<int> ran{0};
        std::vector<ConcurrentFuture<>> futures;
        {
            Blocker busy(pool);
            for (int i = 0; i < 5; ++i) futures.push_back(pool.submit([&] { ++ran; }));
            pool.shutdown(false, cancel);
            EXPECT_THROW((void)pool.submit([] {}), std::logic_error);
        }
        pool.shutdown();
        for (const auto& future : futures) {
            EXPECT_TRUE(future.done());
            EXPECT_EQ(future.cancelled(), cancel);
        }
        EXPECT_EQ(ran, cancel ? 0 : 5);
    }
}

TEST(ThreadPoolExecutor, finished_is_completed_by_the_last_thread) {
    ThreadPoolExecutor pool(2);
    {
        Blocker one(pool);
        Blocker two(pool);
        pool.shutdown(false);
        EXPECT_FALSE(pool.finished().done());
        EXPECT_FALSE(pool.finished().cancel());
    }
    pool.finished().result();
    ThreadPoolExecutor unused;
    unused.shutdown(false);
    EXPECT_TRUE(unused.finished().done());
}

TEST(ThreadPoolExecutor, storms_of_submits_cancels_and_a_shutdown_lose_no_job) {
    for (int round = 0; round < 20; ++round) {
        ThreadPoolExecutor pool(2);
        std::atomic<int> ran{0};
        std::atomic<int> refused{0};
        std::vector<std::thread> users;
        std::vector<std::vector<ConcurrentFuture<int>>> futures(3);
        for (auto& mine : futures)
            users.emplace_back([&, out = &mine] {
                for (int i = 0; i < 200; ++i) {
                    try {
                        out->push_back(pool.submit([&] { return ++ran; }));
                        if (i % 3 == 0) out->back().cancel();
                    } catch (const std::logic_error&) {
                        ++refused;
                    }
                }
            });
        std::thread closer([&] { pool.shutdown(false, round % 2 == 0); });
        for (std::thread& user : users) user.join();
        closer.join();
        pool.finished().wait();
        int returned = 0;
        int cancelled = 0;
        for (const auto& mine : futures)
            for (const auto& future : mine) {
                ASSERT_TRUE(future.done());
                ++(future.cancelled() ? cancelled : returned);
            }
        EXPECT_EQ(returned, ran);
        EXPECT_EQ(returned + cancelled + refused, 600);
    }
}

TEST(ConcurrentFuture, result_waits_and_throws_what_the_function_threw) {
    ThreadPoolExecutor pool(1);
    EXPECT_EQ(pool.submit([] { return 5; }).result(), 5);
    const auto fails = pool.submit([]() -> int { throw std::runtime_error("bad"); });
    EXPECT_EQ(error_from([&] { return fails.result(); }), "std::runtime_error: bad");
    EXPECT_EQ(describe(fails.exception()), "std::runtime_error: bad");
    const auto named = pool.submit([] { return std::string("text"); });
    EXPECT_EQ(named.result(), "text");
    EXPECT_EQ(&named.result(), &named.result());
    EXPECT_EQ(named.exception(), nullptr);
}

TEST(ConcurrentFuture, a_limit_makes_result_throw_TimeoutError) {
    ThreadPoolExecutor pool(1);
    Blocker busy(pool);
    const auto waits = pool.submit([] { return 1; });
    EXPECT_THROW(waits.result(0s), TimeoutError);
    EXPECT_FALSE(waits.wait(1ms));
    EXPECT_THROW(waits.exception(1ms), TimeoutError);
    busy.release();
    EXPECT_EQ(waits.result(Duration::max()), 1);
}

TEST(ConcurrentFuture, cancel_works_before_the_start_only) {
    ThreadPoolExecutor pool(1);
    Gate entered;
    Gate leave;
    auto runs = pool.submit([&] {
        entered.open();
        leave.pass();
    });
    auto waits = pool.submit([] { ADD_FAILURE() << "it ran"; });
    entered.pass();
    EXPECT_TRUE(runs.running());
    EXPECT_FALSE(runs.cancel());
    EXPECT_FALSE(waits.running());
    EXPECT_TRUE(waits.cancel());
    EXPECT_TRUE(waits.cancel());
    EXPECT_TRUE(waits.done());
    EXPECT_THROW(waits.result(), CancelledError);
    leave.open();
    runs.result();
    EXPECT_FALSE(runs.cancel());
}

TEST(ConcurrentFuture, callbacks_run_where_it_ends_or_at_once) {
    ThreadPoolExecutor pool(1);
    std::vector<std::thread::id> threads;
    ConcurrentFuture<int> future;
    {
        Blocker busy(pool);
        future = pool.submit([] { return 3; });
        future.add_done_callback([&](ConcurrentFuture<int>& done) {
            EXPECT_EQ(done.result(), 3);
            threads.push_back(std::this_thread::get_id());
        });
    }
    pool.shutdown();
    future.add_done_callback(
        [&](ConcurrentFuture<int>&) { threads.push_back(std::this_thread::get_id()); });
    ASSERT_EQ(threads.size(), 2u);
    EXPECT_NE(threads[0], std::this_thread::get_id());
    EXPECT_EQ(threads[1], std::this_thread::get_id());
}

TEST(ConcurrentFuture, converts_to_a_standard_future) {
    ThreadPoolExecutor pool(1);
    std::future<int> number = pool.submit([] { return 6; });
    EXPECT_EQ(number.get(), 6);
    std::future<void> nothing = pool.submit([] {});
    nothing.get();
    std::future<std::unique_ptr<int>> owned = pool.submit([] { return std::make_unique<int>(7); });
    EXPECT_EQ(*owned.get(), 7);
    std::future<int> fails = pool.submit([]() -> int { throw std::runtime_error("bad"); });
    EXPECT_THROW(fails.get(), std::runtime_error);
    Blocker busy(pool);
    const auto waits = pool.submit([] { return 1; });
    std::future<int> cancelled = waits;
    EXPECT_EQ(cancelled.wait_for(0s), std::future_status::timeout);
    waits.cancel();
    EXPECT_THROW(cancelled.get(), CancelledError);
}

}  // namespace
}  // namespace asyncio
