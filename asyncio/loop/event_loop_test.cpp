// SPDX-License-Identifier: MIT
//
// Scheduling, timers, fatal exceptions, debug mode (LOOP-01 ... LOOP-49). What needs a task is in
// task/run_until_complete_test.cpp, what needs other threads in inbox_test.cpp.
#include <asyncio/loop/event_loop_fixture_test.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/os/fd.hpp>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace loop_tests;

// --- the ready queue ---------------------------------------------------------------------------

TEST_F(Loop, LOOP_01_call_soon_runs_in_order_and_never_inside_the_call) {
    for (const char* word : {"a", "b", "c"}) loop.call_soon(note(word));
    EXPECT_EQ(log, Log{});
    loop.call_soon([&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(log, (Log{"a", "b", "c"}));
}

TEST_F(Loop, LOOP_02_a_callback_scheduled_by_a_callback_waits_for_the_next_iteration) {
    loop.call_soon([&] {
        log.push_back("first");
        for (int i = 0; i < 3; ++i) loop.call_soon(note("second"));
    });
    loop.call_soon(note("other"));
    iterate();
    EXPECT_EQ(log, (Log{"first", "other"}));
    iterate();
    EXPECT_EQ(log, (Log{"first", "other", "second", "second", "second"}));
}

/// Schedules itself for ever.
struct Endless {
    void operator()() const {
        ++rounds;
        loop.call_soon(*this);
    }
    EventLoop& loop;
    int& rounds;
};

TEST_F(Loop, LOOP_03_an_endless_chain_of_call_soon_starves_neither_descriptors_nor_timers) {
    int rounds = 0;
    const os::Fd event(::eventfd(1, EFD_NONBLOCK));
    loop.add_reader(event.get(), [&] {
        log.push_back("readable");
        loop.remove_reader(event.get());
        loop.call_at(loop.time(), [&] {
            log.push_back("timer");
            loop.stop();
        });
    });
    loop.call_soon(Endless{loop, rounds});
    loop.run_forever();
    EXPECT_EQ(log, (Log{"readable", "timer"}));
    EXPECT_LT(rounds, 10);
}

TEST_F(Loop, LOOP_04_LOOP_10_ready_callbacks_then_descriptors_then_timers) {
    const os::Fd event(::eventfd(1, EFD_NONBLOCK));
    loop.add_reader(event.get(), [&] {
        log.push_back("descriptor");
        loop.remove_reader(event.get());
    });
    loop.call_at(loop.time(), note("timer"));  // due now, and yet after what is ready
    loop.call_soon(note("ready"));
    iterate();
    EXPECT_EQ(log, (Log{"ready", "descriptor", "timer"}));
}

TEST_F(Loop, LOOP_05_arguments_are_delivered_unchanged) {
    int number = 0;
    auto owned_text = std::make_unique<std::string>("moved");
    std::string got;
    loop.call_soon(
        [&](int n, const std::string& text, std::unique_ptr<std::string> last) {
            got = std::to_string(n) + text + *last;
        },
        42, std::string("text"), std::move(owned_text));
    loop.call_soon([](int& n, int by) { n += by; }, std::ref(number), 7);
    loop.call_later(1s, [](int& n, int by) { n *= by; }, std::ref(number), 3);
    loop.call_later(2s, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(got, "42textmoved");
    EXPECT_EQ(number, 21);
}

TEST_F(Loop, a_callback_may_return_something) {
    loop.call_soon([] { return 1; });
    loop.call_soon_threadsafe([]() -> std::string { return "dropped"; });
    iterate();
    EXPECT_TRUE(errors.reports().empty());
}

template <class F>
concept IsCallback = requires(EventLoop& loop, F f) { loop::bind_arguments(f)(); };

TEST_F(Loop, DBG_03_what_cannot_be_called_and_coroutine_functions_do_not_compile) {
    static_assert(!IsCallback<int>);
    static_assert(!std::is_constructible_v<UniqueFunction<void()>, Coro<>>);
    static_assert(loop::MakesCoroutine<Coro<> (*)()>);
    static_assert(!loop::MakesCoroutine<void (*)()>);
}

// --- timers ------------------------------------------------------------------------------------

TEST_F(Loop, LOOP_06_LOOP_09_call_later_and_call_at_are_never_early) {
    const TimePoint start = loop.time();
    std::vector<Duration> fired;
    loop.call_later(1500ms, [&] { fired.push_back(loop.time() - start); });
    loop.call_at(loop.time() + 1600ms, [&] {
        fired.push_back(loop.time() - start);
        loop.stop();
    });
    loop.run_forever();
    EXPECT_EQ(fired, (std::vector<Duration>{1500ms, 1600ms}));
}

TEST(LoopOnRealTime, LOOP_06_LOOP_09_LOOP_16_timers_are_not_early_and_time_never_goes_back) {
    EventLoop loop;
    const TimePoint start = loop.time();
    EXPECT_LE(start, Clock::now());
    TimePoint fired{};
    TimePoint last = start;
    loop.call_later(3ms, [&] {
        fired = loop.time();
        loop.stop();
    });
    for (int i = 0; i < 1000; ++i) {
        const TimePoint now = loop.time();
        ASSERT_GE(now, last);
        last = now;
    }
    loop.run_forever();
    EXPECT_GE(fired - start, Duration(3ms));
    loop.close();
}

TEST_F(Loop, LOOP_07_negative_delays_fire_in_the_next_iteration_earlier_deadline_first) {
    loop.call_later(-1s, note("-1"));
    loop.call_later(-3s, note("-3"));
    loop.call_later(-2s, note("-2"));
    loop.call_soon(note("ready"));
    iterate();
    EXPECT_EQ(log, (Log{"ready", "-3", "-2", "-1"}));
}

template <class... A>
concept CanCallLater = requires(EventLoop& loop, A... a) { loop.call_later(a...); };
template <class... A>
concept CanCallAt = requires(EventLoop& loop, A... a) { loop.call_at(a...); };

TEST_F(Loop, LOOP_08_a_timer_without_a_time_does_not_compile) {
    using F = void (*)();
    static_assert(CanCallLater<Duration, F> && CanCallLater<std::chrono::seconds, F>);
    static_assert(!CanCallLater<F> && !CanCallLater<std::nullptr_t, F> && !CanCallLater<int, F>);
    static_assert(CanCallAt<TimePoint, F>);
    static_assert(!CanCallAt<F> && !CanCallAt<std::nullptr_t, F> && !CanCallAt<Duration, F>);
}

TEST(LoopOnNoSystem, LOOP_11_a_poll_never_waits_longer_than_a_day) {
    RecordingKernel::Record record;
    EventLoop loop(std::make_unique<RecordingKernel>(record));
    const TimePoint when = loop.time() + 60h;
    TimePoint fired{};
    loop.call_at(when, [&] {
        fired = loop.time();
        loop.stop();
    });
    loop.run_forever();
    EXPECT_EQ(fired, when);
    EXPECT_EQ(record.waits, (std::vector<std::optional<Duration>>{24h, 24h, 12h}));
    loop.close();
}

TEST_F(Loop, LOOP_12_timers_that_became_due_while_a_callback_blocked_run_in_one_iteration) {
    loop.call_later(3s, note("3"));
    loop.call_later(1s, note("1"));
    loop.call_later(2s, note("2"));
    loop.call_later(9s, note("9"));
    loop.call_soon([&] { testing::clock_of(loop).advance(5s); });
    iterate();
    EXPECT_EQ(log, Log{});
    iterate();
    EXPECT_EQ(log, (Log{"1", "2", "3"}));
}

TEST(LoopOnNoSystem, LOOP_13_LOOP_14_LOOP_15_cancelled_timers_cause_no_wakeup) {
    RecordingKernel::Record record;
    EventLoop loop(std::make_unique<RecordingKernel>(record));
    std::vector<TimerHandle> handles;
    for (int i = 1; i <= 300; ++i) handles.push_back(loop.call_later(i * 1s, [] { FAIL(); }));
    loop.call_later(400s, [&] { loop.stop(); });
    for (TimerHandle& handle : handles) handle.cancel();
    EXPECT_EQ(loop.timers().size(), 1U);
    loop.run_forever();
    EXPECT_EQ(record.waits, (std::vector<std::optional<Duration>>{400s}));
    loop.close();
}

TEST_F(Loop, a_timer_that_never_comes) {
    // Duration::max() after now overflowed; now it saturates.
    loop.call_later(Duration::max(), note("never"));
    TimerHandle past = loop.call_at(TimePoint::min(), note("at once"));
    EXPECT_EQ(past.when(), TimePoint::min());
    loop.call_later(24h * 365 * 100, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(log, Log{"at once"});
}

TEST_F(Loop, equal_deadlines_fire_in_the_order_of_the_calls) {
    Log expected;
    const TimePoint when = loop.time() + 1s;
    for (int i = 0; i < 100; ++i) {
        expected.push_back(std::to_string(i));
        loop.call_at(when, note(expected.back()));
    }
    loop.call_at(when, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(log, expected);
}

TEST(LoopOnNoSystem, LOOP_40_very_short_delays_need_few_iterations) {
    RecordingKernel::Record record{.waits = {}, .step = 10ns};
    EventLoop loop(std::make_unique<RecordingKernel>(record));
    int fired = 0;
    for (int i = 0; i < 10; ++i) loop.call_later(1ns, [&] { ++fired; });
    loop.call_later(2ns, [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_EQ(fired, 10);
    EXPECT_LE(record.waits.size(), 3U);
    loop.close();
}

TEST(LoopOnRealTime, LOOP_40_no_busy_loop_before_a_deadline) {
    EventLoop loop;
    const std::uint32_t before = loop.iteration();
    loop.call_later(Duration(2'000'100), [&] { loop.stop(); });
    loop.run_forever();
    EXPECT_LE(loop.iteration() - before, 3u);
    loop.close();
}

// --- fatal exceptions --------------------------------------------------------------------------

TEST_F(Loop, LOOP_36_a_fatal_exception_leaves_the_loop_and_the_rest_stays_queued) {
    const auto owned_by_callback = std::make_shared<int>(0);
    loop.call_soon(note("before"));
    loop.call_soon([owned_by_callback] { throw SystemExit(3); });
    loop.call_soon([&] {
        log.push_back("after");
        loop.call_soon(note("last"));
    });
    try {
        loop.run_forever();
        FAIL();
    } catch (const SystemExit& e) {
        EXPECT_EQ(e.code, 3);
    }
    EXPECT_EQ(log, Log{"before"});
    EXPECT_FALSE(loop.is_running());
    EXPECT_EQ(get_running_loop_or_null(), nullptr);
    EXPECT_EQ(owned_by_callback.use_count(), 1);  // once: leaked
    loop.call_soon(note("new"));
    iterate();
    EXPECT_EQ(log, (Log{"before", "after", "new"}));
    iterate();
    EXPECT_EQ(log, (Log{"before", "after", "new", "last"}));
    EXPECT_TRUE(errors.reports().empty());
}

TEST_F(Loop, LOOP_36_fatal_exceptions_of_timers_posts_descriptors_and_handlers) {
    const os::Fd event(::eventfd(1, EFD_NONBLOCK));
    loop.call_later(1s, [] { throw KeyboardInterrupt(); });
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);

    loop.call_soon_threadsafe([] { throw KeyboardInterrupt(); });
    loop.call_soon_threadsafe(note("local post"));
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
    std::thread([&] {
        loop.call_soon_threadsafe([] { throw KeyboardInterrupt(); });
        loop.call_soon_threadsafe(note("post"));
        loop.call_soon_threadsafe([] { throw KeyboardInterrupt(); });
        loop.call_soon_threadsafe(note("last post"));
    }).join();
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
    loop.call_soon(note("after the posts"));
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
    iterate();
    EXPECT_EQ(log, (Log{"local post", "post", "last post", "after the posts"}));

    loop.add_reader(event.get(), [&] {
        loop.remove_reader(event.get());
        throw KeyboardInterrupt();
    });
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
    EXPECT_FALSE(loop.remove_reader(event.get()));
    loop.add_reader(event.get(), [] { throw KeyboardInterrupt(); });
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);  // it is still watched
    EXPECT_TRUE(loop.remove_reader(event.get()));

    loop.set_exception_handler([](EventLoop&, const ExceptionContext&) { throw SystemExit(1); });
    loop.call_soon([] { throw std::runtime_error("leads to a handler that leaves"); });
    EXPECT_THROW(loop.run_forever(), SystemExit);
}

TEST_F(Loop, closing_after_a_fatal_exception_amid_everything) {
    const auto owned_by_all = std::make_shared<int>(0);
    loop.call_soon([] { throw KeyboardInterrupt(); });
    loop.call_soon([owned_by_all] {});
    std::thread([&] {
        loop.call_soon_threadsafe([] { throw KeyboardInterrupt(); });
        loop.call_soon_threadsafe([owned_by_all] {});
    }).join();
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
    EXPECT_THROW(loop.run_forever(), KeyboardInterrupt);
    loop.call_soon([owned_by_all] {});
    loop.close();
    EXPECT_EQ(owned_by_all.use_count(), 1);
}

// --- debug mode --------------------------------------------------------------------------------

TEST_F(Loop, DBG_02_DBG_06_debug_mode_refuses_calls_of_foreign_threads) {
    loop.call_soon([&] {
        std::thread([&] {
            loop.call_soon(note("undetected"));  // nobody else uses the loop meanwhile
            loop.set_debug(true);
            EXPECT_THROW(loop.call_soon([] {}), std::logic_error);
            EXPECT_THROW(loop.call_later(1s, [] {}), std::logic_error);
            EXPECT_THROW(loop.call_at(loop.time(), [] {}), std::logic_error);
            loop.call_soon_threadsafe([] {});
            loop.set_debug(false);
        }).join();
        loop.set_debug(true);
        loop.call_soon(note("own thread"));
    });
    iterate();
    iterate();
    EXPECT_EQ(log, (Log{"undetected", "own thread"}));
    EXPECT_TRUE(loop.get_debug());
}

TEST_F(Loop, DBG_04_debug_mode_reports_callbacks_that_take_long) {
    const testing::LogLines lines;
    const auto work = [&] { testing::clock_of(loop).advance(150ms); };
    loop.call_soon(work);
    iterate();
    EXPECT_EQ(lines.size(), 0U);
    loop.set_debug(true);
    loop.call_soon(work);
    iterate();
    EXPECT_TRUE(lines.contains("took 0.150 seconds"));
    loop.slow_callback_duration = 1s;
    loop.call_soon(work);
    iterate();
    EXPECT_EQ(lines.size(), 1U);
}

TEST(LoopDebug, DBG_01_the_environment_switches_debug_mode_on) {
    const auto debug_of_a_new_loop = [] {
        auto loop = testing::make_virtual_loop();
        const bool debug = loop->get_debug();
        loop->close();
        return debug;
    };
    ::setenv("ASYNCIO_DEBUG", "1", 1);
    EXPECT_TRUE(debug_of_a_new_loop());
    ::setenv("ASYNCIO_DEBUG", "", 1);
    EXPECT_FALSE(debug_of_a_new_loop());
    ::unsetenv("ASYNCIO_DEBUG");
    EXPECT_FALSE(debug_of_a_new_loop());
}

// --- hooks -------------------------------------------------------------------------------------

TEST_F(Loop, hooks_run_once_before_the_next_poll) {
    struct Hook final : loop::PollHook {
        explicit Hook(Log& l) : log(l) {}
        void before_poll() noexcept override { log.push_back("hook"); }
        Log& log;
    } hook(log);
    struct Short final : loop::PollHook {
        void before_poll() noexcept override { FAIL(); }
    };
    loop.call_soon([&] {
        log.push_back("callback");
        loop.before_poll(hook);
        loop.before_poll(hook);
        Short dies_unseen;
        loop.before_poll(dies_unseen);
    });
    iterate();
    EXPECT_EQ(log, Log{"callback"});
    iterate();
    iterate();
    EXPECT_EQ(log, (Log{"callback", "hook"}));
}

TEST_F(Loop, nobody_sleeps_on_what_a_hook_wants_done_before_the_next_poll) {
    struct Second final : loop::PollHook {
        explicit Second(EventLoop& l) : loop(l) {}
        void before_poll() noexcept override { loop.stop(); }
        EventLoop& loop;
    } second(loop);
    struct First final : loop::PollHook {
        explicit First(Second& s) : second(s) {}
        void before_poll() noexcept override { second.loop.before_poll(second); }
        Second& second;
    } first(second);
    const TimePoint before = loop.time();
    loop.call_later(std::chrono::hours(1), [&] { loop.stop(); });
    loop.before_poll(first);
    loop.run_forever();
    EXPECT_EQ(loop.time(), before);
}

}  // namespace
}  // namespace asyncio
