// SPDX-License-Identifier: MIT
#include <asyncio/task/sleep.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <poll.h>
#include <unistd.h>

namespace asyncio::testing {
namespace {

using namespace std::chrono_literals;

struct Pipe {
    Pipe() { EXPECT_EQ(::pipe(ends), 0); }
    ~Pipe() {
        ::close(ends[0]);
        ::close(ends[1]);
    }
    void put() const { EXPECT_EQ(::write(ends[1], "x", 1), 1); }
    int ends[2] = {};
};

TEST(VirtualClock, jumps_over_timers) {
    auto loop = make_virtual_loop();
    const TimePoint start = loop->time();
    EXPECT_EQ(start, VirtualClock::kStart);
    std::vector<Duration> fired;
    for (const Duration delay : {Duration(3h), Duration(1ns), Duration(40ms), Duration(24h * 365)})
        loop->call_later(delay, [&] { fired.push_back(loop->time() - start); });
    loop->call_later(24h * 366, [&] { loop->stop(); });
    const TimePoint real = Clock::now();
    loop->run_forever();
    EXPECT_EQ(fired, (std::vector<Duration>{1ns, 40ms, 3h, 24h * 365}));
    EXPECT_LT(Clock::now() - real, 5s);
    loop->close();
}

TEST(VirtualClock, run_gives_the_result_and_the_exact_time) {
    const auto body = []() -> Coro<Duration> {
        const TimePoint start = get_running_loop().time();
        co_await sleep(24h);
        co_return get_running_loop().time() - start;
    };
    EXPECT_EQ(testing::run(body()), Duration(24h));
}

TEST(VirtualClock, no_time_passes_while_something_is_ready) {
    auto loop = make_virtual_loop();
    int rounds = 0;
    std::string log;
    loop->call_later(1s, [&] { log += "timer "; });
    struct Again {
        void operator()() const {
            if (++rounds < 100)
                loop.call_soon(*this);
            else
                log += loop.time() == VirtualClock::kStart ? "at start " : "late ";
        }
        EventLoop& loop;
        int& rounds;
        std::string& log;
    };
    loop->call_soon(Again{*loop, rounds, log});
    loop->call_later(2s, [&] { loop->stop(); });
    loop->run_forever();
    EXPECT_EQ(log, "at start timer ");
    loop->close();
}

TEST(VirtualClock, advance_is_a_callback_that_takes_long) {
    auto loop = make_virtual_loop();
    loop->call_soon([&] { clock_of(*loop).advance(5s); });
    loop->call_later(1s, [&] { loop->stop(); });
    loop->run_forever();
    EXPECT_EQ(loop->time() - VirtualClock::kStart, Duration(5s));
    loop->close();
}

TEST(VirtualClock, what_is_readable_comes_before_a_far_timer) {
    auto loop = make_virtual_loop();
    const Pipe pipe;
    std::string log;
    loop->add_reader(pipe.ends[0], [&] {
        log += "read ";
        loop->remove_reader(pipe.ends[0]);
    });
    loop->call_later(1h, [&] {
        log += "timer ";
        loop->stop();
    });
    pipe.put();
    loop->run_forever();
    EXPECT_EQ(log, "read timer ");
    loop->close();
}

TEST(VirtualClock, an_operation_that_never_completes_does_not_hold_time_up) {
    auto loop = make_virtual_loop();
    const Pipe pipe;
    loop->add_reader(pipe.ends[0], [] {});
    loop->call_later(1h, [&] { loop->stop(); });
    const TimePoint real = Clock::now();
    loop->run_forever();
    EXPECT_EQ(loop->time() - VirtualClock::kStart, Duration(1h));
    EXPECT_GE(Clock::now() - real, VirtualClock::kGrace);
    loop->close();
}

struct Poll : kernel::Operation {
    Poll(int descriptor, Callback on_completion) : Operation(kernel::Opcode::poll, on_completion) {
        fd = descriptor;
        events = POLLIN;
    }
};

TEST(VirtualClock, operations_get_their_callback_back) {
    VirtualClock clock(kernel::make_kernel());
    clock.attach_to_thread();
    const Pipe pipe;
    int completions = 0;
    Poll poll(pipe.ends[0], [](kernel::Operation& operation, const kernel::Completion& completion) {
        *static_cast<int*>(operation.owner) += completion.result > 0 ? 1 : 100;
    });
    const auto callback = poll.callback;
    poll.owner = &completions;
    ASSERT_TRUE(clock.submit(poll));
    clock.reclaim(poll);
    EXPECT_EQ(poll.callback, callback);
    ASSERT_TRUE(clock.submit(poll));
    pipe.put();
    clock.wait(std::nullopt);
    EXPECT_EQ(poll.callback, callback);
    EXPECT_EQ(completions, 1);
    ASSERT_TRUE(clock.submit(poll));
    clock.cancel(poll);
    while (!poll.idle()) clock.wait(std::nullopt);
    EXPECT_EQ(poll.callback, callback);
}

TEST(VirtualClock, dies_with_an_operation_in_flight) {
    const Pipe pipe;
    Poll poll(pipe.ends[0], [](kernel::Operation&, const kernel::Completion&) {});
    {
        VirtualClock clock(kernel::make_kernel());
        clock.attach_to_thread();
        ASSERT_TRUE(clock.submit(poll));
    }
    EXPECT_TRUE(poll.idle());
}

TEST(VirtualClock, waiting_for_ever_is_an_error) {
    EventLoop loop(std::make_unique<VirtualClock>(kernel::make_kernel(), 10ms));
    EXPECT_THROW(loop.run_forever(), std::logic_error);
    const Pipe pipe;
    loop.add_reader(pipe.ends[0], [] {});
    EXPECT_THROW(loop.run_forever(), std::logic_error);
    loop.call_soon([&] { loop.stop(); });
    loop.run_forever();  // and the loop is none the worse
    loop.close();
}

TEST(VirtualClock, another_thread_wakes_an_endless_wait) {
    auto loop = make_virtual_loop();
    std::thread thread([&] { loop->call_soon_threadsafe([&] { loop->stop(); }); });
    loop->run_forever();
    thread.join();
    EXPECT_EQ(loop->time(), VirtualClock::kStart);
    loop->close();
}

}  // namespace
}  // namespace asyncio::testing
