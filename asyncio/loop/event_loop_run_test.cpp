// SPDX-License-Identifier: MIT
//
// Running, stopping and closing (LOOP-17 ... LOOP-49).
#include <asyncio/loop/event_loop_fixture_test.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/os/fd.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace loop_tests;

// --- run and stop ------------------------------------------------------------------------------

TEST_F(Loop, LOOP_17_LOOP_18_the_stopping_iteration_ends_and_what_it_scheduled_is_kept) {
    loop.call_soon([&] {
        log.push_back("stop");
        loop.stop();
        loop.call_soon(note("later"));
    });
    loop.call_soon(note("same iteration"));
    loop.run_forever();
    EXPECT_EQ(log, (Log{"stop", "same iteration"}));
    iterate();
    EXPECT_EQ(log, (Log{"stop", "same iteration", "later"}));
}

TEST(LoopOnNoSystem, LOOP_19_stop_before_run_gives_one_iteration_that_does_not_block) {
    RecordingKernel::Record record;
    EventLoop loop(std::make_unique<RecordingKernel>(record));
    loop.call_later(1s, [] { FAIL(); });
    loop.stop();
    loop.run_forever();
    EXPECT_EQ(record.waits, (std::vector<std::optional<Duration>>{0s}));
    int ran = 0;
    loop.call_soon([&] {
        ++ran;
        loop.call_soon([&] { ++ran; });
    });
    loop.stop();
    loop.run_forever();
    EXPECT_EQ(ran, 1);
    loop.close();
}

TEST_F(Loop, LOOP_20_after_a_run_the_loop_is_idle_and_can_run_again) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(loop.is_running());
        EXPECT_EQ(get_running_loop_or_null(), nullptr);
        loop.call_soon([&] {
            EXPECT_TRUE(loop.is_running());
            EXPECT_EQ(&get_running_loop(), &loop);
            loop.stop();
        });
        loop.run_forever();
    }
    EXPECT_FALSE(loop.is_running());
    EXPECT_EQ(get_running_loop_or_null(), nullptr);
}

TEST_F(Loop, LOOP_26_running_a_running_loop_is_refused_and_the_outer_run_goes_on) {
    loop.call_soon([&] {
        EXPECT_THROW(loop.run_forever(), std::logic_error);
        EXPECT_EQ(&get_running_loop(), &loop);
        EXPECT_TRUE(loop.is_running());
        loop.call_soon(note("went on"));
    });
    loop.call_later(1s, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(log, Log{"went on"});
}

TEST_F(Loop, LOOP_27_a_second_loop_in_the_same_thread_is_refused) {
    auto second = testing::make_virtual_loop();
    loop.call_soon([&] {
        EXPECT_THROW(second->run_forever(), std::logic_error);
        EXPECT_EQ(&get_running_loop(), &loop);
        EXPECT_FALSE(second->is_running());
    });
    iterate();
    second->stop();
    second->run_forever();
    second->close();
}

TEST(LoopInThreads, LOOP_28_each_thread_runs_its_own) {
    std::atomic<int> good{0};
    auto body = [&good] {
        EventLoop loop;
        int rounds = 0;
        loop.call_soon([&] {
            if (&get_running_loop() == &loop) ++good;
        });
        struct Again {
            void operator()() const {
                if (++rounds == 100)
                    loop.stop();
                else
                    loop.call_soon(*this);
            }
            EventLoop& loop;
            int& rounds;
        };
        loop.call_soon(Again{loop, rounds});
        loop.run_forever();
        loop.close();
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back(body);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, 4);
}

TEST_F(Loop, a_loop_may_be_run_by_another_thread_next_time) {
    loop.call_soon(note("here"));
    iterate();
    std::thread([&] {
        loop.call_soon(note("there"));
        iterate();
    }).join();
    loop.call_soon(note("here again"));
    iterate();
    EXPECT_EQ(log, (Log{"here", "there", "here again"}));
}

TEST_F(Loop, LOOP_49_the_running_loop_is_known_inside_and_an_error_outside) {
    EXPECT_THROW(get_running_loop(), std::logic_error);
    EXPECT_EQ(get_running_loop_or_null(), nullptr);
    EventLoop* seen = nullptr;
    loop.call_later(1s, [&] {
        seen = &get_running_loop();
        loop.stop();
    });
    loop.run_forever();
    EXPECT_EQ(seen, &loop);
    EXPECT_THROW(get_running_loop(), std::logic_error);
}

TEST_F(Loop, LOOP_39_a_descriptor_callback_is_not_executed_again_after_stop_and_restart) {
    const os::Fd event(::eventfd(1, EFD_NONBLOCK));
    int calls = 0;
    loop.add_reader(event.get(), [&] {
        ++calls;
        std::uint64_t value = 0;
        EXPECT_EQ(::read(event.get(), &value, sizeof value), 8);
        loop.stop();
    });
    loop.run_forever();
    EXPECT_EQ(calls, 1);
    iterate();
    iterate();
    EXPECT_EQ(calls, 1);
}

// --- closing -----------------------------------------------------------------------------------

TEST_F(Loop, LOOP_29_closing_a_running_loop_is_refused) {
    loop.call_soon([&] { EXPECT_THROW(loop.close(), std::logic_error); });
    iterate();
    EXPECT_FALSE(loop.is_closed());
}

TEST_F(Loop, LOOP_30_close_is_idempotent_and_final) {
    EXPECT_FALSE(loop.is_closed());
    loop.close();
    loop.close();
    EXPECT_TRUE(loop.is_closed());
    EXPECT_FALSE(loop.is_running());
}

TEST_F(Loop, LOOP_31_LOOP_32_a_closed_loop_refuses_everything) {
    loop.close();
    EXPECT_THROW(loop.call_soon([] {}), std::logic_error);
    EXPECT_THROW(loop.call_soon_threadsafe([] {}), std::logic_error);
    EXPECT_THROW(loop.call_later(1s, [] {}), std::logic_error);
    EXPECT_THROW(loop.call_at(loop.time(), [] {}), std::logic_error);
    EXPECT_THROW(loop.run_forever(), std::logic_error);
    EXPECT_THROW(loop.add_signal_handler(SIGUSR1, [] {}), std::logic_error);
    EXPECT_THROW(loop.add_reader(0, [] {}), std::logic_error);
    EXPECT_THROW(loop.add_writer(0, [] {}), std::logic_error);
    EXPECT_FALSE(loop.remove_reader(0));
    EXPECT_FALSE(loop.remove_writer(0));
    EXPECT_FALSE(loop.remove_signal_handler(SIGUSR1));
    try {
        loop.call_soon([] {});
        FAIL();
    } catch (const std::logic_error& e) {
        EXPECT_STREQ(e.what(), "Event loop is closed");
    }
}

TEST_F(Loop, LOOP_33_close_discards_callbacks_and_timers_and_releases_what_they_own) {
    const auto owned_by_all = std::make_shared<int>(0);
    const os::Fd event(::eventfd(1, EFD_NONBLOCK));
    loop.call_soon([&, owned_by_all] { log.push_back("ran"); });
    loop.call_soon_threadsafe([&, owned_by_all] { log.push_back("ran"); });
    std::thread([&] {
        loop.call_soon_threadsafe([&, owned_by_all] { log.push_back("ran"); });
    }).join();
    for (const Duration delay : {Duration(-1s), Duration(1s), Duration(24h * 365 * 50)})
        loop.call_later(delay, [&, owned_by_all] { log.push_back("ran"); });
    Handle kept = loop.call_soon([&, owned_by_all] { log.push_back("ran"); });
    loop.add_reader(event.get(), [&, owned_by_all] { log.push_back("ran"); });
    EXPECT_EQ(owned_by_all.use_count(), 9);
    loop.close();
    EXPECT_EQ(owned_by_all.use_count(), 1);
    EXPECT_EQ(log, Log{});
    kept.cancel();
}

/// Does something when it dies.
template <class F>
struct OnDeath {
    explicit OnDeath(F action) : action_(std::make_shared<Action>(std::move(action))) {}
    void operator()() const {}
    struct Action {
        explicit Action(F f) : run(std::move(f)) {}
        ~Action() { run(); }
        F run;
    };
    std::shared_ptr<Action> action_;
};

TEST_F(Loop, closing_survives_callbacks_whose_destructors_use_the_loop) {
    // Cancelling neighbours from a destructor; once followed a freed timer.
    std::vector<TimerHandle> handles;
    std::vector<ThreadsafeHandle> posts;
    int refused = 0;
    const auto meddle = [&] {
        for (TimerHandle& handle : handles) handle.cancel();
        for (ThreadsafeHandle& post : posts) post.cancel();  // once: dead-lock under the inbox lock
        try {
            loop.call_soon([] {});
        } catch (const std::logic_error&) {
            ++refused;
        }
        loop.remove_reader(0);
    };
    for (int i = 0; i < 20; ++i) {
        handles.push_back(loop.call_later(Duration(1s), OnDeath(meddle)));
        posts.push_back(loop.call_soon_threadsafe(OnDeath(meddle)));
    }
    std::thread([&] {
        for (int i = 0; i < 5; ++i) posts.push_back(loop.call_soon_threadsafe(OnDeath(meddle)));
    }).join();
    loop.close();
    EXPECT_EQ(refused, 45);
}

TEST_F(Loop, LOOP_35_a_loop_destroyed_without_close_is_reported_and_closed) {
    const testing::LogLines lines;
    auto released = std::make_shared<int>(0);
    {
        auto forgotten = testing::make_virtual_loop();
        forgotten->call_soon([released] {});
    }
    EXPECT_TRUE(lines.contains("unclosed event loop"));
    EXPECT_EQ(released.use_count(), 1);
    {
        auto closed = testing::make_virtual_loop();
        closed->close();
    }
    EXPECT_EQ(lines.size(), 1U);
}

TEST_F(Loop, handles_outlive_the_loop) {
    Handle ready = loop.call_soon([] {});
    TimerHandle timer = loop.call_later(1s, [] {});
    TimerHandle cancelled = loop.call_later(1s, [] {});
    cancelled.cancel();
    ThreadsafeHandle post = loop.call_soon_threadsafe([] {});
    const TimePoint when = timer.when();
    loop.close();
    owned.reset();
    ready.cancel();
    timer.cancel();
    post.cancel();
    EXPECT_TRUE(ready.cancelled());
    EXPECT_TRUE(cancelled.cancelled());
    EXPECT_EQ(timer.when(), when);
    EXPECT_FALSE(post.cancelled());
}

}  // namespace
}  // namespace asyncio
