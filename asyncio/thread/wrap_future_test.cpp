// SPDX-License-Identifier: MIT
//
// wrap_future: a concurrent future on a loop.
#include <asyncio/thread/thread_fixture_test.hpp>

#include <stdexcept>

namespace asyncio {
namespace {

using namespace thread_tests;

TEST(WrapFuture, FUT_22_FUT_24_result_exception_and_cancellation_come_over) {
    asyncio::run([]() -> Coro<> {
        ThreadPoolExecutor pool(1);
        const ConcurrentFuture<std::string> text = pool.submit([] { return std::string("text"); });
        EXPECT_EQ(co_await wrap_future(text), "text");
        EXPECT_EQ(co_await text, "text");  // copied: it is there for others, too
        EXPECT_EQ(text.result(), "text");
        const auto fails = co_await as_outcome(
            wrap_future(pool.submit([]() -> int { throw std::runtime_error("bad"); })));
        EXPECT_EQ(error_of(fails), "std::runtime_error: bad");
        Blocker busy(pool);
        const auto waits = pool.submit([] { return 1; });
        const Future<int> wrapper = wrap_future(waits);
        waits.cancel();
        EXPECT_TRUE((co_await as_outcome(wrapper)).cancelled());
        EXPECT_TRUE(wrapper.cancelled());
    });
}

TEST(WrapFuture, FUT_22_a_wrapper_completed_by_hand_is_left_alone) {
    asyncio::run([]() -> Coro<> {
        ThreadPoolExecutor pool(1);
        Blocker busy(pool);
        const Future<int> wrapper = wrap_future(pool.submit([] { return 1; }));
        wrapper.set_result(2);
        busy.release();
        pool.shutdown();
        for (int i = 0; i < 3; ++i) co_await sleep(0s);
        EXPECT_EQ(co_await wrapper, 2);
    });
}

TEST(WrapFuture, FUT_24_a_future_of_a_loop_is_returned_unchanged) {
    asyncio::run([]() -> Coro<> {
        Future<int> future;
        EXPECT_EQ(wrap_future(future), future);
        future.set_result(1);
        co_return;
    });
}

TEST(WrapFuture, FUT_25_cancelling_the_wrapper_cancels_the_pools_future) {
    asyncio::run([]() -> Coro<> {
        ThreadPoolExecutor pool(1);
        Blocker busy(pool);
        const auto waits = pool.submit([] { return 1; });
        const Future<int> wrapper = wrap_future(waits);
        EXPECT_TRUE(wrapper.cancel("enough"));
        EXPECT_TRUE(wrapper.cancelled());
        EXPECT_TRUE(waits.cancelled());
        const auto outcome = co_await as_outcome(wrapper);
        EXPECT_TRUE(outcome.cancelled());
    });
}

TEST(WrapFuture, FUT_25_a_pools_future_that_finished_first_keeps_its_result) {
    asyncio::run([]() -> Coro<> {
        ThreadPoolExecutor pool(1);
        const auto finishes = pool.submit([] { return 1; });
        const Future<int> wrapper = wrap_future(finishes);
        finishes.wait();
        wrapper.cancel();
        co_await sleep(0s);
        EXPECT_TRUE(wrapper.cancelled());
        EXPECT_EQ(finishes.result(), 1);
    });
}

TEST(WrapFuture, FUT_26_completion_after_the_loop_was_closed_is_ignored) {
    testing::LogLines lines;
    ThreadPoolExecutor pool(1);
    ConcurrentFuture<int> future;
    {
        Blocker busy(pool);
        EventLoop loop;
        future = pool.submit([]() -> int { throw std::runtime_error("nobody hears this"); });
        const Future<int> wrapper = wrap_future(future, loop);
        loop.close();
        EXPECT_THROW((void)wrap_future(future, loop), std::logic_error);
    }
    pool.shutdown();
    EXPECT_TRUE(future.done());
    EXPECT_EQ(lines.size(), 0u);
}

TEST(WrapFuture, an_exception_nobody_retrieves_is_reported_by_the_loop) {
    EventLoop loop;
    testing::ErrorLog errors(loop);
    loop.run_until_complete([]() -> Coro<> {
        ThreadPoolExecutor pool(1);
        const Future<> wrapper = wrap_future(pool.submit([] { throw std::runtime_error("bad"); }));
        const auto is_done = [&] { return wrapper.done(); };
        const bool seen = co_await until(is_done);
        EXPECT_TRUE(seen);
    }());
    loop.close();
    EXPECT_EQ(errors.messages(), std::vector<std::string>{"Future exception was never retrieved"});
}

TEST(WrapFuture, one_concurrent_future_awaited_on_several_loops) {
    ThreadPoolExecutor pool(1);
    std::vector<std::thread> loops;
    {
        Blocker busy(pool);
        const auto shared = pool.submit([] { return std::string("for all"); });
        for (int i = 0; i < 3; ++i)
            loops.emplace_back([shared] {
                asyncio::run([shared]() -> Coro<> { EXPECT_EQ(co_await shared, "for all"); });
            });
    }
    for (std::thread& loop : loops) loop.join();
    pool.shutdown();
}

}  // namespace
}  // namespace asyncio
