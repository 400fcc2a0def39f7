// SPDX-License-Identifier: MIT
#include <asyncio/task/gather.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <limits>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

TEST(Sleep, SLP_01_zero_takes_exactly_one_iteration) {
    Events events;
    testing::run([&]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        loop.call_soon([&] {
            events.push_back("ready before");
            loop.call_soon([&] { events.push_back("added meanwhile"); });
        });
        Iterations iterations;
        co_await sleep(0s);
        events.push_back("awake");
        EXPECT_EQ(iterations.count(), 1);
        co_await sleep(0s);
        EXPECT_EQ(iterations.count(), 2);
    });
    EXPECT_EQ(events, (Events{"ready before", "awake", "added meanwhile"}));
}

TEST(Sleep, SLP_02_a_negative_delay_is_like_zero) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Iterations iterations;
        co_await sleep(-5s);
        co_await sleep(-std::chrono::duration<double>(0.5));
        co_await sleep(Duration::min());
        co_await sleep(std::chrono::hours::min());
        EXPECT_EQ(iterations.count(), 4);
        EXPECT_EQ(get_running_loop().time(), start);
    });
}

TEST(Sleep, SLP_03_gives_the_optional_result) {
    testing::run([]() -> Coro<> {
        const int v = co_await sleep(1s, 42);
        EXPECT_EQ(v, 42);
        const std::string text = co_await sleep(0s, std::string("done"));
        EXPECT_EQ(text, "done");
    });
}

TEST(Sleep, SLP_04_NaN_is_an_error) {
    using Seconds = std::chrono::duration<double>;
    EXPECT_THROW((void)sleep(Seconds(std::numeric_limits<double>::quiet_NaN())),
                 std::invalid_argument);
}

TEST(Sleep, SLP_05_concurrent_sleeps_end_in_the_order_of_their_deadlines) {
    Events events;
    testing::run([&]() -> Coro<> {
        const auto nap = [&](Duration delay, std::string name) -> Coro<> {
            co_await sleep(delay);
            events.push_back(name);
        };
        co_await gather(nap(3s, "c"), nap(1s, "a"), nap(2s, "b"), nap(1s, "a2"), nap(30h, "e"),
                        nap(3s, "c2"), nap(1h, "d"));
    });
    EXPECT_EQ(events, (Events{"a", "a2", "b", "c", "c2", "d", "e"}));
}

TEST(Sleep, lasts_as_long_as_asked_for_in_any_unit) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        co_await sleep(1h);
        EXPECT_EQ(loop.time() - start, 1h);
        co_await sleep(std::chrono::duration<double>(0.25));
        EXPECT_EQ(loop.time() - start, 1h + 250ms);
        co_await sleep(std::chrono::duration<long, std::pico>(1'500));  // never less
        EXPECT_EQ(loop.time() - start, 1h + 250ms + 2ns);
        co_await sleep(3ms);
        EXPECT_EQ(loop.time() - start, 1h + 253ms + 2ns);
    });
}

TEST(Sleep, a_delay_beyond_the_end_of_time_waits_and_can_be_cancelled) {
    testing::run([]() -> Coro<> {
        Task<> a = create_task(sleep(Duration::max()));
        Task<> b = create_task(sleep(std::chrono::hours::max()));
        Task<> c = create_task(sleep(std::chrono::duration<double>(1e300)));
        Task<> d = create_task(
            sleep(std::chrono::duration<double>(std::numeric_limits<double>::infinity())));
        co_await sleep(1h);
        for (const Task<>& t : std::vector<Task<>>{a, b, c, d}) {
            EXPECT_FALSE(t.done());
            t.cancel();
        }
        co_await sleep(0s);
        EXPECT_TRUE(a.cancelled());
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
    });
}

TEST(Sleep, one_awaitable_can_be_awaited_again) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        const Sleep second = sleep(1s);
        co_await second;
        co_await second;
        EXPECT_EQ(get_running_loop().time() - start, 2s);
    });
}

TEST(Sleep, a_waiting_sleep_allocates_nothing_and_dies_with_its_frame) {
    const auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    const auto main = []() -> Coro<> {
        Task<> t = create_task(forever());
        co_await turns(2);
    };
    loop->run_until_complete(main());
    EXPECT_EQ(loop->timers().size(), 1u);
    loop->close();
    EXPECT_EQ(loop->timers().size(), 0u);
}

}  // namespace
}  // namespace asyncio
