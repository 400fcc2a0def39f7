// SPDX-License-Identifier: MIT
#include <asyncio/task/task_group_fixture_test.hpp>
#include <asyncio/task/timeout.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

/// Notes its depth; then makes a child and ends before it.
Coro<> multiply(TaskGroup& tg, Events& events, int depth) {
    co_await sleep(1s);
    events.push_back(std::to_string(depth));
    if (depth > 0) (void)tg.create_task(multiply, std::ref(tg), std::ref(events), depth - 1);
}

// --- the ordinary end -------------------------------------------------------------------------

TEST(TaskGroup, TG_01_leaving_waits_for_all_children) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Task<int> a;
        Task<std::string> b;
        const int sum = co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<int> {
            a = tg.create_task(later(1, 2s));
            b = tg.create_task(later(std::string("two"), 3s));
            co_return 42;
        });
        EXPECT_EQ(sum, 42);
        EXPECT_EQ(a.result(), 1);
        EXPECT_EQ(b.result(), "two");
        EXPECT_EQ(get_running_loop().time() - start, 3s);
    });
}

TEST(TaskGroup, TG_02_children_may_come_from_anywhere_while_one_lives) {
    testing::run([]() -> Coro<> {
        Events events;
        co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(multiply, std::ref(tg), std::ref(events), 2);
            co_return;
        });
        EXPECT_EQ(events, (Events{"2", "1", "0"}));
    });
}

TEST(TaskGroup, TG_03_TG_04_a_cancelled_child_is_no_failure) {
    testing::run([]() -> Coro<> {
        const std::string end = co_await group_of([](TaskGroup& tg) -> Coro<> {
            Task<> one = tg.create_task(forever());
            Task<int> other = tg.create_task(later(7, 5s));
            (void)tg.create_task([]() -> Coro<> {
                throw CancelledError("of its own");
                co_return;
            });
            co_await sleep(1s);
            one.cancel();
            const int v = co_await other;
            EXPECT_EQ(v, 7);
            EXPECT_TRUE(one.cancelled());
        });
        EXPECT_EQ(end, "none");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(TaskGroup, TG_36_an_empty_group_does_not_suspend) {
    testing::run([]() -> Coro<> {
        Iterations iterations;
        co_await with(TaskGroup(), [](TaskGroup&) -> Coro<> { co_return; });
        EXPECT_EQ(iterations.count(), 0);
    });
}

TEST(TaskGroup, takes_three_iterations) {
    testing::run([]() -> Coro<> {
        Iterations iterations;
        co_await with(TaskGroup(), [](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(return_at_once());
            co_return;
        });
        EXPECT_EQ(iterations.count(), 3);
    });
}

TEST(TaskGroup, TG_30_options_are_passed_on) {
    testing::run([]() -> Coro<> {
        co_await with(TaskGroup(), [](TaskGroup& tg) -> Coro<> {
            Task<> coroutine = tg.create_task(return_at_once(), {.name = "a"});
            Task<> function = tg.create_task(return_at_once, TaskOptions{.name = "b"});
            Task<> awaitable = tg.create_task(sleep(1s), {.name = "c"});
            EXPECT_EQ(coroutine.get_name(), "a");
            EXPECT_EQ(function.get_name(), "b");
            EXPECT_EQ(awaitable.get_name(), "c");
            Task<std::string> bound = tg.create_task(
                [](std::string s, int n) -> Coro<std::string> { co_return s + std::to_string(n); },
                "x", 3);
            const std::string text = co_await bound;
            EXPECT_EQ(text, "x3");
        });
    });
}

TEST(TaskGroup, TG_31_finished_children_are_forgotten_at_once) {
    testing::run([]() -> Coro<> {
        co_await with(TaskGroup(), [](TaskGroup& tg) -> Coro<> {
            const auto owned = std::make_shared<int>(1);
            for (int i = 0; i < 100; ++i) {
                (void)tg.create_task([owned]() -> Coro<> { co_return; });
                co_await turns(2);
                EXPECT_EQ(owned.use_count(), 1);
            }
        });
    });
}

// --- failures ---------------------------------------------------------------------------------

TEST(TaskGroup, TG_05_TG_06_the_first_failure_cancels_the_rest_and_the_body) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Events events;
        const std::string end = co_await group_of([&](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(note_cancel(events, "a"));
            (void)tg.create_task(fail_later("first", 1s));
            (void)tg.create_task(fail_later("never", 2s));
            co_await note_cancel(events, "body");
        });
        EXPECT_EQ(end, "(first)");
        EXPECT_EQ(events, (Events{"a cancelled", "body cancelled"}));
        EXPECT_EQ(get_running_loop().time() - start, 1s);
    });
}

TEST(TaskGroup, TG_06_TG_07_all_failures_are_raised_in_the_order_they_came) {
    testing::run([]() -> Coro<> {
        const std::string end = co_await group_of([](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(fail_when_cancelled("late"));
            (void)tg.create_task(fail_at_once("a"));
            (void)tg.create_task(fail_at_once("b"));
            co_return;
        });
        EXPECT_EQ(end, "(a, b, late)");
    });
}

TEST(TaskGroup, TG_06_it_is_an_ExceptionGroup) {
    testing::run([]() -> Coro<> {
        const auto outcome = co_await as_outcome(with(TaskGroup(), [](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(fail_at_once("a"));
            co_return;
        }));
        EXPECT_THROW(
            {
                try {
                    outcome.value();
                } catch (const ExceptionGroup& eg) {
                    EXPECT_EQ(eg.message(), "unhandled errors in a TaskGroup");
                    EXPECT_EQ(eg.exceptions().size(), 1u);
                    EXPECT_TRUE(eg.subgroup<std::runtime_error>().has_value());
                    throw;
                }
            },
            std::exception);
    });
}

TEST(TaskGroup, TG_08_the_bodys_error_comes_after_the_childrens) {
    testing::run([]() -> Coro<> {
        Events events;
        const std::string end = co_await group_of([&](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(note_cancel(events, "child"));
            (void)tg.create_task(fail_when_cancelled("child"));
            co_await sleep(1s);
            throw std::runtime_error("body");
        });
        EXPECT_EQ(end, "(child, body)");
        EXPECT_EQ(events, (Events{"child cancelled"}));
    });
}

TEST(TaskGroup, TG_09_an_error_of_the_interrupted_body_is_added) {
    testing::run([]() -> Coro<> {
        const std::string end = co_await group_of([](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(fail_later("child", 1s));
            (void)co_await as_outcome(forever());
            throw std::runtime_error("body");
        });
        EXPECT_EQ(end, "(child, body)");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(TaskGroup, TG_10_a_body_that_throws_at_once) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> never;
        Task<> lingering = create_task(sleep(1s));
        const std::string end = co_await group_of([&](TaskGroup& tg) -> Coro<> {
            never = tg.create_task(note_cancel(events, "never begins"));
            throw std::runtime_error("body");
            co_return;
        });
        EXPECT_EQ(end, "(body)");
        EXPECT_TRUE(never.cancelled());
        EXPECT_TRUE(events.empty());
    });
}

TEST(TaskGroup, TG_16_TG_17_a_failure_leaves_no_trace_in_the_parent) {
    testing::run([]() -> Coro<> {
        const std::string end = co_await group_of([](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(fail_at_once("x"));
            co_await forever();
        });
        EXPECT_EQ(end, "(x)");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(1s);
        co_await turns(3);
    });
}

TEST(TaskGroup, TG_17_not_even_if_the_body_ended_before_it_was_interrupted) {
    testing::run([]() -> Coro<> {
        co_await with(TaskGroup(), [](TaskGroup& tg) -> Coro<> {
            tg.cancel();
            co_return;
        });
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(1s);
    });
}

TEST(TaskGroup, TG_19_a_body_that_goes_on_after_the_interruption) {
    testing::run([]() -> Coro<> {
        Events events;
        const std::string end = co_await group_of([&](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(fail_at_once("x"));
            const auto outcome = co_await as_outcome(forever());
            EXPECT_TRUE(outcome.cancelled());
            co_await sleep(1s);
            events.push_back("done");
        });
        EXPECT_EQ(end, "(x)");
        EXPECT_EQ(events, (Events{"done"}));
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

// --- fatal and other exceptions ---------------------------------------------------------------

TEST(TaskGroup, TG_24_TG_25_a_fatal_exception_of_the_body_is_raised_bare) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        const std::string end = co_await group_of([](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(fail_when_cancelled("suppressed"));
            co_await sleep(1s);
            throw SystemExit(3);
        });
        EXPECT_EQ(end, "SystemExit");
        EXPECT_EQ(errors.exceptions(),
                  (std::vector<std::string>{"std::runtime_error: suppressed"}));
    });
}

TEST(TaskGroup, TG_24_a_fatal_exception_of_a_child_is_raised_bare) {
    const auto loop = testing::make_virtual_loop();
    std::string end;
    Task<> main = loop->create_task([&]() -> Coro<> {
        end = co_await group_of([](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task([]() -> Coro<> {
                throw KeyboardInterrupt();
                co_return;
            });
            co_await forever();
        });
    });
    EXPECT_THROW(loop->run_forever(), KeyboardInterrupt);  // fatal: it leaves the loop, too
    loop->run_until_complete(main);
    EXPECT_EQ(end, "KeyboardInterrupt");
    loop->close();
}

TEST(TaskGroup, TG_26_what_is_no_std_exception_makes_a_base_group) {
    testing::run([]() -> Coro<> {
        const auto outcome = co_await as_outcome(with(TaskGroup(), [](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task([]() -> Coro<> {
                throw 42;
                co_return;
            });
            co_return;
        }));
        const auto is_standard = [&] {
            try {
                outcome.value();
            } catch (const std::exception&) {
                return true;
            } catch (const BaseExceptionGroup& group) {
                EXPECT_EQ(group.exceptions().size(), 1u);
                return false;
            }
            return true;
        };
        EXPECT_FALSE(is_standard());
    });
}

// --- misuse -----------------------------------------------------------------------------------

template <class F>
std::string misuse(F&& f) {
    try {
        f();
    } catch (const std::logic_error& e) {
        return e.what();
    }
    return "none";
}

TEST(TaskGroup, TG_27_create_task_at_the_wrong_time) {
    testing::run([]() -> Coro<> {
        get_running_loop().set_debug(true);
        testing::LogLines log;
        TaskGroup tg;
        const auto create = [&] { (void)tg.create_task(forever()); };
        EXPECT_EQ(misuse(create), "TaskGroup has not been entered");
        const auto outcome = co_await as_outcome(with(tg, [&](TaskGroup&) -> Coro<> {
            (void)tg.create_task(fail_at_once("x"));
            (void)co_await as_outcome(forever());
            EXPECT_EQ(misuse(create), "TaskGroup is shutting down");
        }));
        EXPECT_EQ(contents(outcome), "(x)");
        EXPECT_EQ(misuse(create), "TaskGroup is finished");
        EXPECT_EQ(log.size(), 0u);  // none of the coroutines was "never awaited"
    });
}

TEST(TaskGroup, TG_28_entering_twice) {
    testing::run([]() -> Coro<> {
        TaskGroup tg;
        co_await with(tg, [&](TaskGroup&) -> Coro<> {
            const auto nested = co_await as_outcome(with(tg, [](TaskGroup&) { return sleep(0s); }));
            EXPECT_EQ(error_of(nested), "std::logic_error: TaskGroup has already been entered");
        });
        const auto again = co_await as_outcome(with(tg, [](TaskGroup&) { return sleep(0s); }));
        EXPECT_EQ(error_of(again), "std::logic_error: TaskGroup has already been entered");
    });
}

TEST(TaskGroup, moving_an_entered_group_is_refused) {
    testing::run([]() -> Coro<> {
        TaskGroup tg;
        co_await with(tg, [&](TaskGroup& same) -> Coro<> {
            EXPECT_EQ(&same, &tg);
            EXPECT_EQ(misuse([&] { const TaskGroup moved(std::move(tg)); }),
                      "a TaskGroup cannot be moved after it was entered");
            co_return;
        });
    });
}

TEST(TaskGroup, TG_32_children_that_multiply_are_all_cancelled) {
    testing::run([]() -> Coro<> {
        int refused = 0;
        int cancelled = 0;
        // Out here: it has to outlive the body, which ends before its children.
        const auto multiply = [&](auto& self, TaskGroup& tg) -> Coro<> {
            for (;;) {
                const auto outcome = co_await as_outcome(sleep(1s));
                const std::string why = misuse([&] {
                    (void)tg.create_task([&self, &tg]() -> Coro<> { co_await self(self, tg); });
                });
                if (why != "none") ++refused;
                if (outcome.cancelled()) ++cancelled;
                if (why != "none") outcome.value();
            }
        };
        const std::string end = co_await group_of([&](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task([&]() -> Coro<> { co_await multiply(multiply, tg); });
            (void)tg.create_task(fail_later("stop", std::chrono::milliseconds(5500)));
            co_await forever();
        });
        EXPECT_EQ(end, "(stop)");
        EXPECT_EQ(cancelled, 32);
        EXPECT_EQ(refused, 32);
        EXPECT_EQ(all_tasks().size(), 1u);
    });
}

// --- TaskGroup::cancel() ----------------------------------------------------------------------

TEST(TaskGroup, TG_37_cancel_ends_the_block_without_an_exception) {
    testing::run([]() -> Coro<> {
        Events events;
        const std::string end = co_await group_of([&](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(note_cancel(events, "child"));
            (void)tg.create_task([&tg]() -> Coro<> {
                co_await sleep(1s);
                tg.cancel();
                EXPECT_EQ(misuse([&] { (void)tg.create_task(forever()); }),
                          "TaskGroup is shutting down");
            });
            co_await note_cancel(events, "body");
        });
        EXPECT_EQ(end, "none");
        EXPECT_EQ(events, (Events{"child cancelled", "body cancelled"}));
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(1s);
    });
}

TEST(TaskGroup, TG_37_failures_are_raised_all_the_same) {
    testing::run([]() -> Coro<> {
        const std::string end = co_await group_of([](TaskGroup& tg) -> Coro<> {
            (void)tg.create_task(fail_when_cancelled("x"));
            co_await sleep(1s);
            tg.cancel();
            co_await forever();
        });
        EXPECT_EQ(end, "(x)");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(TaskGroup, TG_38_cancel_before_entering_and_after_the_end) {
    testing::run([]() -> Coro<> {
        Events events;
        TaskGroup tg;
        tg.cancel();
        tg.cancel();
        co_await with(tg, [&](TaskGroup&) -> Coro<> {
            EXPECT_EQ(misuse([&] { (void)tg.create_task(forever()); }),
                      "TaskGroup is shutting down");
            co_await note_cancel(events, "body");
        });
        EXPECT_EQ(events, (Events{"body cancelled"}));
        tg.cancel();
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
        TaskGroup moved;
        moved.cancel();
        co_await with(std::move(moved),
                      [&](TaskGroup&) -> Coro<> { co_await note_cancel(events, "moved"); });
        EXPECT_EQ(events.back(), "moved cancelled");
    });
}

TEST(TaskGroup, TG_39_a_cancel_from_outside_after_the_groups_own) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> parent = create_task([&events]() -> Coro<> {
            co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(linger(events, "child", 10s));
                co_await sleep(1s);
                tg.cancel();
                co_await forever();
            });
        });
        co_await sleep(2s);
        parent.cancel("outside");
        const auto outcome = co_await as_outcome(parent);
        EXPECT_EQ(error_of(outcome), "CancelledError: outside");
        EXPECT_EQ(events, (Events{"child gone"}));
    });
}

TEST(TaskGroup, TG_39_a_cancel_from_outside_before_the_groups_own) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> parent = create_task([&events]() -> Coro<> {
            co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task([&]() -> Coro<> {
                    (void)co_await as_outcome(forever());
                    tg.cancel();
                    co_await linger(events, "child", 10s);
                });
                co_await forever();
            });
        });
        co_await sleep(2s);
        parent.cancel("outside");
        const auto outcome = co_await as_outcome(parent);
        EXPECT_EQ(error_of(outcome), "CancelledError: outside");
    });
}

// --- the end of the loop, and groups nobody leaves ----------------------------------------------

TEST(TaskGroup, closing_the_loop_under_a_group) {
    for (const int iterations : {1, 2, 3, 4, 5, 6, 7, 8}) {
        const auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        Events events;
        {
            Task<> parent = loop->create_task([&]() -> Coro<> {
                co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
                    (void)tg.create_task(fail_when_cancelled("x"));
                    (void)tg.create_task(linger(events, "y", 1s));
                    (void)tg.create_task([]() -> Coro<> {
                        co_await turns(3);
                        throw std::runtime_error("z");
                    });
                    (void)co_await as_outcome(forever());
                    co_await forever();
                });
            });
            for (int i = 0; i < iterations; ++i) {
                loop->stop();
                loop->run_forever();
            }
        }
        loop->close();
        EXPECT_GE(errors.reports().size(), 1u);
    }
}

TEST(TaskGroup, one_that_is_never_left_lets_its_children_go_cancelled) {
    testing::run([]() -> Coro<> {
        Task<> child;
        {
            TaskGroup tg;
            co_await tg.aenter();
            child = tg.create_task(forever());
            co_await sleep(1s);
        }
        const auto outcome = co_await as_outcome(child);
        EXPECT_TRUE(outcome.cancelled());
    });
}

}  // namespace
}  // namespace asyncio
