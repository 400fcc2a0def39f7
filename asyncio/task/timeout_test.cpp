// SPDX-License-Identifier: MIT
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/timeout.hpp>

#include <optional>
#include <string>

namespace asyncio {
namespace {

using namespace task_tests;

/// `async with scope: body`.
template <class Body>
Coro<> within(Timeout& scope, Body body) {
    co_await scope.aenter();
    const auto outcome = co_await as_outcome(body());
    (void)co_await scope.aexit(outcome.error());
    outcome.value();
}

bool is_timeout(const Outcome<>& outcome) {
    return error_of(outcome).starts_with("asyncio::TimeoutError");
}

TEST(Timeout, TMO_01_TMO_02_interrupts_what_takes_too_long) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Timeout scope = timeout(1s);
        EXPECT_EQ(scope.when(), start + 1s);
        EXPECT_FALSE(scope.expired());
        const auto outcome = co_await as_outcome(within(scope, forever));
        EXPECT_TRUE(is_timeout(outcome));
        EXPECT_TRUE(scope.expired());
        EXPECT_EQ(get_running_loop().time() - start, 1s);
    });
}

TEST(Timeout, TMO_03_in_time_nothing_happens_and_the_timer_goes) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(10s);
        co_await within(scope, [] { return sleep(1s); });
        EXPECT_FALSE(scope.expired());
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
    });
}

TEST(Timeout, TMO_04_without_a_deadline_it_never_fires) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(std::nullopt);
        co_await within(scope, [] { return sleep(1000h); });
        EXPECT_FALSE(scope.when().has_value());
        EXPECT_FALSE(scope.expired());
    });
}

TEST(Timeout, TMO_05_zero_or_the_past_fires_at_the_first_suspension) {
    testing::run([]() -> Coro<> {
        for (const Duration delay : {Duration(0), Duration(-1s)}) {
            Timeout scope = timeout(delay);
            const auto outcome = co_await as_outcome(within(scope, [] { return sleep(0s); }));
            EXPECT_TRUE(is_timeout(outcome));
            Timeout other = timeout(delay);
            const auto second = co_await as_outcome(within(other, forever));
            EXPECT_TRUE(is_timeout(second));
        }
    });
}

TEST(Timeout, TMO_06_what_never_suspends_does_not_time_out) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(0s);
        co_await within(scope, return_at_once);
        EXPECT_FALSE(scope.expired());
        Timeout late = timeout(1s);
        co_await within(late, []() -> Coro<> {
            testing::clock_of(get_running_loop()).advance(10s);
            co_return;
        });
        EXPECT_FALSE(late.expired());
        co_await sleep(0s);
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(Timeout, TMO_07_inside_it_is_CancelledError_outside_TimeoutError) {
    testing::run([]() -> Coro<> {
        Events events;
        Timeout scope = timeout(1s);
        const auto body = [&]() -> Coro<> { co_await note_cancel(events, "body"); };
        try {
            co_await within(scope, body);
        } catch (const TimeoutError& e) {
            EXPECT_TRUE(is_cancelled_error(e.cause()));
            events.push_back("timeout");
        }
        EXPECT_EQ(events, (Events{"body cancelled", "timeout"}));
    });
}

TEST(Timeout, TMO_08_an_unrelated_exception_passes) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(10s);
        const auto body = []() -> Coro<> { co_await fail_later("own", 1s); };
        const auto outcome = co_await as_outcome(within(scope, body));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: own");
        Timeout expiring = timeout(1s);
        const auto dying = []() -> Coro<> {
            (void)co_await as_outcome(forever());
            throw std::runtime_error("in the clean-up");
        };
        const auto second = co_await as_outcome(within(expiring, dying));
        EXPECT_EQ(error_of(second), "std::runtime_error: in the clean-up");
        EXPECT_TRUE(expiring.expired());
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(Timeout, TMO_09_a_cancel_from_outside_passes) {
    testing::run([]() -> Coro<> {
        std::optional<Timeout> scope;
        Task<> t = create_task([&]() -> Coro<> {
            scope.emplace(timeout(10s));
            co_await within(*scope, forever);
        });
        co_await sleep(1s);
        t.cancel("outside");
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: outside");
        EXPECT_FALSE(scope->expired());
        EXPECT_EQ(get_running_loop().timers().size(), 0u);
        scope.reset();
    });
}

TEST(Timeout, TMO_10_cancel_and_expiry_in_one_iteration_give_CancelledError) {
    for (const bool cancel_first : {true, false}) {
        testing::run([cancel_first]() -> Coro<> {
            std::optional<Timeout> scope;
            Task<> t;
            const auto cancel = [&] { t.cancel("outside"); };
            EventLoop& loop = get_running_loop();
            if (cancel_first) loop.call_later(1s, cancel);
            t = create_task([&]() -> Coro<> {
                scope.emplace(timeout_at(get_running_loop().time() + 1s));
                co_await within(*scope, forever);
            });
            co_await sleep(0s);
            if (!cancel_first) loop.call_later(1s, cancel);
            const auto outcome = co_await as_outcome(t);
            EXPECT_TRUE(outcome.cancelled());
            EXPECT_TRUE(scope->expired());
            EXPECT_EQ(t.cancelling(), 1u);
            scope.reset();
        });
    }
}

TEST(Timeout, TMO_11_a_swallowed_cancel_is_no_TimeoutError) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(1s);
        co_await within(scope, []() -> Coro<> { (void)co_await swallow_cancel(1); });
        EXPECT_TRUE(scope.expired());
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(Timeout, TMO_12_afterwards_the_task_goes_on) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(1s);
        (void)co_await as_outcome(within(scope, forever));
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(1s);
        co_await create_task(sleep(1s));
    });
}

/// Two scopes around forever(); what came out of the inner and of the outer.
struct Nested {
    Outcome<> inner;
    Outcome<> outer;
    bool inner_expired = false;
    bool outer_expired = false;
};
Coro<Nested> nested(Duration outer_delay, Duration inner_delay, Duration before = Duration(0)) {
    Nested result;
    Timeout outer = timeout(outer_delay);
    Timeout inner = timeout(inner_delay);
    const auto innermost = []() -> Coro<> { co_await forever(); };
    const auto body = [&]() -> Coro<> {
        if (before > Duration(0)) testing::clock_of(get_running_loop()).advance(before);
        result.inner = co_await as_outcome(within(inner, innermost));
        result.inner.value();
    };
    result.outer = co_await as_outcome(within(outer, body));
    result.inner_expired = inner.expired();
    result.outer_expired = outer.expired();
    co_return result;
}

TEST(Timeout, TMO_13_nested_only_the_outer_expires) {
    testing::run([]() -> Coro<> {
        const Nested r = co_await nested(1s, 5s);
        EXPECT_TRUE(r.inner.cancelled());
        EXPECT_FALSE(r.inner_expired);
        EXPECT_TRUE(is_timeout(r.outer));
        EXPECT_TRUE(r.outer_expired);
    });
}

TEST(Timeout, TMO_14_nested_only_the_inner_expires) {
    testing::run([]() -> Coro<> {
        const Nested r = co_await nested(5s, 1s);
        EXPECT_TRUE(is_timeout(r.inner));
        EXPECT_TRUE(is_timeout(r.outer));  // the inner's error, passing through
        EXPECT_FALSE(r.outer_expired);
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(Timeout, TMO_15_nested_both_expire_before_the_inner_is_left) {
    testing::run([]() -> Coro<> {
        const Nested r = co_await nested(1s, 1s, 2s);
        EXPECT_TRUE(r.inner.cancelled());
        EXPECT_TRUE(r.inner_expired);
        EXPECT_TRUE(is_timeout(r.outer));
        EXPECT_TRUE(r.outer_expired);
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(Timeout, TMO_16_after_a_caught_inner_timeout_the_outer_still_interrupts) {
    testing::run([]() -> Coro<> {
        Events events;
        Timeout outer = timeout(2s);
        const auto body = [&]() -> Coro<> {
            Timeout inner = timeout(1s);
            const auto first = co_await as_outcome(within(inner, forever));
            events.push_back(is_timeout(first) ? "inner" : "?");
            testing::clock_of(get_running_loop()).advance(5s);
            co_await sleep(10s);
            events.push_back("not reached");
        };
        const auto outcome = co_await as_outcome(within(outer, body));
        EXPECT_TRUE(is_timeout(outcome));
        EXPECT_EQ(events, (Events{"inner"}));
    });
}

TEST(Timeout, TMO_17_a_new_timeout_in_the_cleanup_of_an_expired_one) {
    testing::run([]() -> Coro<> {
        Timeout outer = timeout(1s);
        bool inner_timed_out = false;
        const auto body = [&]() -> Coro<> {
            const auto first = co_await as_outcome(forever());
            Timeout inner = timeout(1s);
            const auto second = co_await as_outcome(within(inner, forever));
            inner_timed_out = is_timeout(second);
            first.value();
        };
        const auto outcome = co_await as_outcome(within(outer, body));
        EXPECT_TRUE(inner_timed_out);
        EXPECT_TRUE(is_timeout(outcome));
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(Timeout, TMO_18_TMO_19_inside_a_task_that_was_cancelled_before) {
    testing::run([]() -> Coro<> {
        for (const bool again : {false, true}) {
            Events events;
            Task<> t;
            t = create_task([&]() -> Coro<> {
                (void)co_await as_outcome(forever());  // the first request, swallowed
                Timeout scope = timeout(1s);
                if (again) get_running_loop().call_later(500ms, [&] { t.cancel("second"); });
                const auto outcome = co_await as_outcome(within(scope, forever));
                events.push_back(is_timeout(outcome) ? "timeout" : error_of(outcome));
                EXPECT_EQ(t.cancelling(), again ? 2u : 1u);
            });
            co_await sleep(0s);
            t.cancel("first");
            co_await t;
            EXPECT_EQ(events, (Events{again ? "CancelledError: second" : "timeout"}));
        }
    });
}

TEST(Timeout, TMO_20_reschedule_moves_the_deadline) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const TimePoint start = loop.time();
        Timeout scope = timeout(1s);
        const auto body = [&]() -> Coro<> {
            scope.reschedule(start + 10s);
            EXPECT_EQ(scope.when(), start + 10s);
            co_await sleep(5s);
            scope.reschedule(std::nullopt);
            EXPECT_FALSE(scope.when().has_value());
            co_await sleep(10s);
            scope.reschedule(start + 16s);
            co_await forever();
        };
        const auto outcome = co_await as_outcome(within(scope, body));
        EXPECT_TRUE(is_timeout(outcome));
        EXPECT_EQ(loop.time(), start + 16s);
    });
}

TEST(Timeout, TMO_21_reschedule_to_the_past_fires_in_the_next_iteration) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(10s);
        const auto body = [&]() -> Coro<> {
            scope.reschedule(get_running_loop().time() - 1s);
            EXPECT_FALSE(scope.expired());
            EXPECT_EQ(current_task().cancelling(), 0u);
            co_await sleep(0s);
        };
        const auto outcome = co_await as_outcome(within(scope, body));
        EXPECT_TRUE(is_timeout(outcome));
    });
}

template <class F>
std::string what_of(F&& f) {
    try {
        f();
    } catch (const std::logic_error& e) {
        return e.what();
    }
    return "nothing";
}

TEST(Timeout, TMO_22_reschedule_needs_an_active_scope_and_names_the_state) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(1s);
        const auto reschedule = [&] { scope.reschedule(std::nullopt); };
        EXPECT_EQ(what_of(reschedule), "Cannot change state of created Timeout");
        const auto body = [&]() -> Coro<> {
            (void)co_await as_outcome(forever());
            EXPECT_EQ(what_of(reschedule), "Cannot change state of expiring Timeout");
        };
        co_await within(scope, body);
        EXPECT_EQ(what_of(reschedule), "Cannot change state of expired Timeout");
        Timeout quick = timeout(1s);
        co_await within(quick, return_at_once);
        EXPECT_EQ(what_of([&] { quick.reschedule(std::nullopt); }),
                  "Cannot change state of finished Timeout");
    });
}

TEST(Timeout, TMO_23_is_entered_once_and_inside_a_task) {
    testing::run([]() -> Coro<> {
        Timeout scope = timeout(1s);
        co_await within(scope, return_at_once);
        EXPECT_EQ(what_of([&] { scope.enter(); }), "Timeout has already been entered");
        std::string in_callback;
        get_running_loop().call_soon([&] {
            Timeout other = timeout(1s);
            in_callback = what_of([&] { other.enter(); });
        });
        co_await sleep(0s);
        EXPECT_EQ(in_callback, "Timeout should be used inside a task");
        scope.leave(nullptr);
    });
    EXPECT_THROW((void)timeout(1s), std::logic_error);
}

TEST(Timeout, TMO_24_timeout_at_takes_loop_time) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const TimePoint when = loop.time() + 3s;
        Timeout scope = timeout_at(when);
        const auto outcome = co_await as_outcome(within(scope, forever));
        EXPECT_TRUE(is_timeout(outcome));
        EXPECT_EQ(loop.time(), when);
    });
}

TEST(Timeout, TMO_25_the_deadline_counts_from_the_call) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Timeout scope = timeout(3s);
        co_await sleep(2s);
        const auto outcome = co_await as_outcome(within(scope, forever));
        EXPECT_TRUE(is_timeout(outcome));
        EXPECT_EQ(get_running_loop().time() - start, 3s);
    });
}

TEST(Timeout, destroyed_while_active_takes_its_timer_along) {
    const auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    const auto guarded = []() -> Coro<> {
        Timeout scope = timeout(1h);
        scope.enter();
        co_await forever();
    };
    const auto main = [&]() -> Coro<> {
        Task<> t = create_task(guarded());
        co_await turns(2);
    };
    loop->run_until_complete(main());
    loop->close();
    EXPECT_EQ(errors.reports().size(), 1u);
}

}  // namespace
}  // namespace asyncio
