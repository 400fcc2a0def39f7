// SPDX-License-Identifier: MIT
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/timeout.hpp>
#include <asyncio/task/with_cleanup.hpp>

#include <memory>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

// --- the request ----------------------------------------------------------------------------

TEST(Cancel, CANC_01_takes_effect_later) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task(forever());
        co_await sleep(0s);
        EXPECT_TRUE(t.cancel());
        EXPECT_FALSE(t.cancelled());
        EXPECT_FALSE(t.done());
        co_await sleep(0s);
        EXPECT_TRUE(t.cancelled());
    });
}

TEST(Cancel, CANC_02_a_done_task_refuses) {
    testing::run([]() -> Coro<> {
        Task<int> t = create_task(at_once(1));
        co_await t;
        EXPECT_FALSE(t.cancel());
        EXPECT_FALSE(t.cancelled());
        Task<> c = create_task(forever());
        c.cancel();
        (void)co_await as_outcome(c);
        EXPECT_FALSE(c.cancel());
        EXPECT_TRUE(c.cancelled());
    });
}

TEST(Cancel, CANC_03_a_task_that_has_not_begun_never_does) {
    testing::run([]() -> Coro<> {
        Events events;
        auto token = std::make_shared<int>();
        const auto body = [&](std::shared_ptr<int>) -> Coro<> {
            events.push_back("ran");
            co_return;
        };
        Task<> t = create_task(body(token));
        EXPECT_TRUE(t.cancel("early"));
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: early");
        EXPECT_TRUE(t.cancelled());
        EXPECT_TRUE(events.empty());
        EXPECT_EQ(token.use_count(), 1);
    });
}

TEST(Cancel, CANC_04_the_awaited_future_is_cancelled_first) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<> t = create_task(await_future(f));
        co_await sleep(0s);
        EXPECT_TRUE(t.cancel("m"));
        EXPECT_TRUE(f.cancelled());
        EXPECT_FALSE(t.done());
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: m");
    });
}

TEST(Cancel, CANC_05_cancel_reaches_innermost_future) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<> inner = create_task(await_future(f));
        Task<> middle = create_task([inner]() -> Coro<> { co_await inner; });
        Task<> outer = create_task([middle]() -> Coro<> { co_await middle; });
        co_await turns(3);
        EXPECT_TRUE(outer.cancel());
        EXPECT_TRUE(f.cancelled());
        EXPECT_EQ(inner.cancelling(), 1u);
        EXPECT_EQ(middle.cancelling(), 1u);
        (void)co_await as_outcome(outer);
        EXPECT_TRUE(inner.cancelled());
        EXPECT_TRUE(middle.cancelled());
        EXPECT_TRUE(outer.cancelled());
    });
}

struct Note {
    Note(Events& e, std::string t) : events(e), text(std::move(t)) {}
    ~Note() { events.push_back(text); }
    Events& events;
    std::string text;
};

TEST(Cancel, CANC_06_unwinds_every_frame_running_cleanup) {
    Events events;
    testing::run([&]() -> Coro<> {
        const auto inner = [&]() -> Coro<> {
            const Note note(events, "inner");
            try {
                co_await forever();
            } catch (const CancelledError&) {
                events.push_back("caught");
                throw;
            }
        };
        const auto middle = [&]() -> Coro<> {
            const Note note(events, "middle");
            co_await inner();
        };
        const auto outer = [&]() -> Coro<> {
            const Note note(events, "outer");
            co_await middle();
        };
        Task<> t = create_task(outer());
        co_await sleep(0s);
        t.cancel();
        (void)co_await as_outcome(t);
    });
    EXPECT_EQ(events, (Events{"caught", "inner", "middle", "outer"}));
}

TEST(Cancel, CANC_07_returning_a_value_instead_finishes_the_task) {
    testing::run([]() -> Coro<> {
        Task<int> t = create_task(swallow_cancel(5));
        co_await sleep(0s);
        EXPECT_TRUE(t.cancel());
        const int v = co_await t;
        EXPECT_EQ(v, 5);
        EXPECT_FALSE(t.cancelled());
    });
}

TEST(Cancel, CANC_08_CANC_18_CANC_32_it_is_delivered_once) {
    testing::run([]() -> Coro<> {
        Task<std::uint32_t> t = create_task([]() -> Coro<std::uint32_t> {
            (void)co_await as_outcome(forever());
            co_await sleep(1s);
            co_await turns(3);
            Future<int> f;
            get_running_loop().call_later(1s, [f] { f.set_result(1); });
            co_await f;
            const AnyTask me = current_task();
            co_return me.cancelling();
        });
        co_await sleep(0s);
        t.cancel();
        const std::uint32_t requests = co_await t;
        EXPECT_EQ(requests, 1u);
        EXPECT_FALSE(t.cancelled());
    });
}

TEST(Cancel, CANC_09_it_may_be_turned_into_another_exception) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task([]() -> Coro<> {
            try {
                co_await forever();
            } catch (const CancelledError&) {
                throw std::runtime_error("other");
            }
        });
        co_await sleep(0s);
        t.cancel();
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "std::runtime_error: other");
        EXPECT_FALSE(t.cancelled());
    });
}

TEST(Cancel, CANC_10_throwing_it_oneself_makes_the_task_cancelled) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task([]() -> Coro<> {
            throw CancelledError("mine");
            co_return;
        });
        const auto outcome = co_await as_outcome(t);
        EXPECT_TRUE(t.cancelled());
        EXPECT_EQ(t.cancelling(), 0u);
        EXPECT_EQ(error_of(outcome), "CancelledError: mine");
    });
}

TEST(Cancel, CANC_11_cancelling_the_awaited_future_cancels_its_waiters) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<> a = create_task(await_future(f));
        Task<> b = create_task(await_future(f));
        co_await sleep(0s);
        f.cancel("gone");
        const auto first = co_await as_outcome(a);
        const auto second = co_await as_outcome(b);
        EXPECT_EQ(error_of(first), "CancelledError: gone");
        EXPECT_EQ(error_of(second), "CancelledError: gone");
        EXPECT_TRUE(a.cancelled());
        EXPECT_EQ(a.cancelling(), 0u);
    });
}

TEST(Cancel, cancelling_one_waiter_of_a_shared_future_cancels_all) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<> a = create_task(await_future(f));
        Task<> b = create_task(await_future(f));
        co_await sleep(0s);
        a.cancel();
        co_await turns(2);
        EXPECT_TRUE(f.cancelled());
        EXPECT_TRUE(b.cancelled());
    });
}

// --- races ----------------------------------------------------------------------------------

TEST(Cancel, CANC_15_replaces_a_result_that_was_not_delivered_yet) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<> t = create_task(await_future(f));
        co_await sleep(0s);
        f.set_result(1);
        EXPECT_TRUE(t.cancel("late"));
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: late");
        EXPECT_EQ(f.result(), 1);
    });
}

// --- the error ------------------------------------------------------------------------------

TEST(Cancel, CANC_24_the_message_reaches_the_task_and_its_awaiter) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> inner = create_task(note_cancel(events, "inner"));
        Task<> outer = create_task([inner]() -> Coro<> { co_await inner; });
        co_await turns(2);
        outer.cancel("because");
        const auto outcome = co_await as_outcome(outer);
        EXPECT_EQ(events, (Events{"inner cancelled: because"}));
        EXPECT_EQ(error_of(outcome), "CancelledError: because");
    });
}

TEST(Cancel, CANC_25_without_a_message_the_error_has_none) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task(forever());
        t.cancel();
        try {
            co_await t;
        } catch (const CancelledError& e) {
            EXPECT_TRUE(e.message().empty());
        }
    });
}

TEST(Cancel, CANC_26_CANC_27_the_same_object_comes_out_every_time_with_its_message) {
    testing::run([]() -> Coro<> {
        std::exception_ptr thrown;
        Task<> t = create_task([&]() -> Coro<> {
            try {
                co_await forever();
            } catch (...) {
                thrown = std::current_exception();
                throw;
            }
        });
        co_await sleep(0s);
        t.cancel("kept");
        for (int i = 0; i < 3; ++i) {
            const auto outcome = co_await as_outcome(t);
            EXPECT_EQ(outcome.error(), thrown);
            EXPECT_EQ(error_of(outcome), "CancelledError: kept");
        }
        EXPECT_THROW(t.exception(), CancelledError);
        EXPECT_THROW(t.result(), CancelledError);
    });
}

TEST(Cancel, CANC_27_who_asks_later_gets_one_like_it) {
    testing::run([]() -> Coro<> {
        std::exception_ptr thrown;
        Task<> obeys = create_task([&]() -> Coro<> {
            try {
                co_await forever();
            } catch (...) {
                thrown = std::current_exception();
                throw;
            }
        });
        Task<> has_its_own = create_task([]() -> Coro<> {
            try {
                co_await forever();
            } catch (const CancelledError&) {
            }
            throw CancelledError("mine");
        });
        co_await sleep(0s);
        obeys.cancel("yours");
        has_its_own.cancel("yours");
        co_await sleep(0s);
        EXPECT_TRUE(obeys.cancelled());  // and nobody has waited
        EXPECT_TRUE(has_its_own.cancelled());
        for (int i = 0; i < 2; ++i) {
            const auto end = co_await as_outcome(obeys);
            EXPECT_EQ(error_of(end), "CancelledError: yours");
            EXPECT_NE(end.error(), thrown);  // a million cancelled tasks hold no million of them
            EXPECT_EQ(error_of(co_await as_outcome(has_its_own)), "CancelledError: mine");
        }
    });
}

TEST(Cancel, CANC_28_task_and_future_both_cancelled_are_cancelled_once) {
    testing::run([]() -> Coro<> {
        for (const bool task_first : {true, false}) {
            Future<int> f;
            int caught = 0;
            Task<> t = create_task([&]() -> Coro<> {
                try {
                    co_await f;
                } catch (const CancelledError&) {
                    ++caught;
                }
                co_await sleep(1s);
            });
            co_await sleep(0s);
            if (task_first) t.cancel();
            f.cancel();
            if (!task_first) t.cancel();
            co_await t;
            EXPECT_EQ(caught, 1);
        }
    });
}

TEST(Cancel, CANC_29_cancelling_a_failed_task_counts_as_seeing_its_exception) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        {
            Task<int> t = create_task(fail_at_once("seen"));
            co_await turns(2);
            EXPECT_FALSE(t.cancel());
        }
        co_await turns(2);
        EXPECT_TRUE(errors.reports().empty());
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Cancel, CANC_30_a_fatal_exception_while_cancelling_leaves_the_loop) {
    const auto loop = testing::make_virtual_loop();
    Task<> t;
    const auto body = []() -> Coro<> {
        try {
            co_await forever();
        } catch (const CancelledError&) {
            throw SystemExit(1);
        }
    };
    const auto main = [&]() -> Coro<> {
        t = create_task(body());
        co_await sleep(0s);
        t.cancel();
        co_await turns(5);
    };
    EXPECT_THROW(loop->run_until_complete(main()), SystemExit);
    EXPECT_TRUE(t.done());
    EXPECT_FALSE(t.cancelled());
    EXPECT_THROW(t.result(), SystemExit);
    testing::ErrorLog errors(*loop);
    loop->close();
}

TEST(Cancel, CANC_31_removes_the_timer_of_a_sleep) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task(forever());
        co_await sleep(0s);
        EXPECT_EQ(get_running_loop().timers().size(), 1u);
        t.cancel();
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
        (void)co_await as_outcome(t);
    });
}

}  // namespace
}  // namespace asyncio
