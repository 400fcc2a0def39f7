// SPDX-License-Identifier: MIT
//
// Task groups whose parent is cancelled, and groups inside one another.
#include <asyncio/task/task_group_fixture_test.hpp>
#include <asyncio/task/timeout.hpp>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

// --- cancelling the parent --------------------------------------------------------------------

TEST(TaskGroup, TG_11_cancelling_the_parent_at_the_end_of_the_block) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> parent = create_task([&events]() -> Coro<> {
            co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(linger(events, "a", 2s));
                (void)tg.create_task(linger(events, "b", 1s));
                co_return;
            });
        });
        co_await sleep(1s);
        const TimePoint start = get_running_loop().time();
        parent.cancel("outside");
        const auto outcome = co_await as_outcome(parent);
        EXPECT_EQ(error_of(outcome), "CancelledError: outside");
        EXPECT_EQ(events, (Events{"b gone", "a gone"}));
        EXPECT_EQ(get_running_loop().time() - start, 2s);
    });
}

TEST(TaskGroup, TG_12_cancelling_the_parent_in_the_body) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> parent = create_task([&events]() -> Coro<> {
            co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(note_cancel(events, "child"));
                co_await note_cancel(events, "body");
            });
        });
        co_await sleep(1s);
        parent.cancel("outside");
        const auto outcome = co_await as_outcome(parent);
        EXPECT_EQ(error_of(outcome), "CancelledError: outside");
        EXPECT_EQ(events, (Events{"body cancelled: outside", "child cancelled"}));
    });
}

TEST(TaskGroup, TG_13_TG_14_errors_win_over_the_cancellation_which_is_not_lost) {
    testing::run([]() -> Coro<> {
        std::string end;
        std::string next;
        std::uint32_t requests = 0;
        Task<> parent = create_task([&]() -> Coro<> {
            end = co_await group_of([](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(fail_when_cancelled("clean-up"));
                co_await forever();
            });
            requests = current_task().cancelling();
            const auto outcome = co_await as_outcome(forever());
            next = error_of(outcome);
        });
        co_await sleep(1s);
        parent.cancel();
        co_await parent;
        EXPECT_EQ(end, "(clean-up)");
        EXPECT_EQ(requests, 1u);
        EXPECT_EQ(next, "CancelledError");
    });
}

TEST(TaskGroup, TG_15_a_body_that_converts_the_cancellation) {
    testing::run([]() -> Coro<> {
        std::string end;
        Task<> parent = create_task([&]() -> Coro<> {
            end = co_await group_of([](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(forever());
                co_await fail_when_cancelled("converted");
            });
        });
        co_await sleep(1s);
        parent.cancel();
        const auto outcome = co_await as_outcome(parent);
        EXPECT_EQ(end, "(converted)");
    });
}

TEST(TaskGroup, TG_14_a_cancel_while_a_failed_block_ends_does_not_hide_the_bodys_error) {
    testing::run([]() -> Coro<> {
        std::string end;
        std::string next;
        Task<> parent = create_task([&]() -> Coro<> {
            end = co_await group_of([](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task([]() -> Coro<> {
                    (void)co_await as_outcome(forever());
                    co_await sleep(5s);
                });
                co_await sleep(1s);
                throw std::runtime_error("body");
            });
            const auto outcome = co_await as_outcome(sleep(0s));
            next = error_of(outcome);
        });
        co_await sleep(3s);
        parent.cancel();
        co_await parent;
        EXPECT_EQ(end, "(body)");
        EXPECT_EQ(next, "CancelledError");
    });
}

TEST(TaskGroup, TG_18_repeated_cancels_neither_abandon_nor_disturb_the_children) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> child;
        Task<> parent = create_task([&]() -> Coro<> {
            co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
                child = tg.create_task(linger(events, "child", 10s));
                co_return;
            });
        });
        co_await sleep(1s);
        for (int i = 0; i < 5; ++i) {
            parent.cancel(std::to_string(i));
            co_await sleep(1s);
            EXPECT_FALSE(parent.done());
            EXPECT_EQ(child.cancelling(), 1u);
        }
        const auto outcome = co_await as_outcome(parent);
        EXPECT_EQ(error_of(outcome), "CancelledError: 0");
        EXPECT_EQ(events, (Events{"child gone"}));
    });
}

TEST(TaskGroup, a_group_in_the_clean_up_of_a_cancelled_task_cancels_it_no_second_time) {
    testing::run([]() -> Coro<> {
        std::string end;
        Task<> parent = create_task([&]() -> Coro<> {
            const auto outcome = co_await as_outcome(forever());
            end = co_await group_of([](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(fail_at_once("x"));
                co_await forever();
            });
            EXPECT_EQ(current_task().cancelling(), 1u);
            co_await sleep(1s);
            outcome.value();
        });
        co_await sleep(1s);
        parent.cancel();
        const auto outcome = co_await as_outcome(parent);
        EXPECT_EQ(error_of(outcome), "CancelledError");
        EXPECT_EQ(end, "(x)");
    });
}

TEST(TaskGroup, a_request_made_before_the_group_was_entered_is_not_lost) {
    testing::run([]() -> Coro<> {
        std::string end;
        std::string next;
        Task<> parent = create_task([&]() -> Coro<> {
            current_task().cancel("early");
            end = co_await group_of([](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(fail_when_cancelled("x"));
                (void)tg.create_task(fail_at_once("y"));
                co_await forever();
            });
            EXPECT_EQ(current_task().cancelling(), 1u);
            const auto outcome = co_await as_outcome(sleep(0s));
            next = error_of(outcome);
        });
        co_await parent;
        EXPECT_EQ(end, "(y, x)");
        EXPECT_EQ(next, "CancelledError");
    });
}

// --- nesting ----------------------------------------------------------------------------------

TEST(TaskGroup, TG_20_an_inner_failure_surfaces_as_a_nested_group) {
    testing::run([]() -> Coro<> {
        const std::string end = co_await group_of([](TaskGroup& outer) -> Coro<> {
            (void)outer.create_task(fail_when_cancelled("outer"));
            co_await sleep(1s);
            co_await with(TaskGroup(), [](TaskGroup& inner) -> Coro<> {
                (void)inner.create_task(fail_at_once("inner"));
                co_return;
            });
        });
        EXPECT_EQ(end, "(outer, (inner))");
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(TaskGroup, TG_21_an_outer_failure_cancels_the_inner_group) {
    testing::run([]() -> Coro<> {
        Events events;
        const std::string end = co_await group_of([&](TaskGroup& outer) -> Coro<> {
            (void)outer.create_task(fail_later("outer", 1s));
            co_await with(TaskGroup(), [&](TaskGroup& inner) -> Coro<> {
                (void)inner.create_task(note_cancel(events, "inner child"));
                co_await note_cancel(events, "inner body");
            });
        });
        EXPECT_EQ(end, "(outer)");
        EXPECT_EQ(events, (Events{"inner body cancelled", "inner child cancelled"}));
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(TaskGroup, TG_22_inner_and_outer_child_fail_in_one_iteration) {
    testing::run([]() -> Coro<> {
        std::string inside;
        std::string next;
        const std::string end = co_await group_of([&](TaskGroup& outer) -> Coro<> {
            (void)outer.create_task(fail_later("outer", 1s));
            inside = co_await group_of([](TaskGroup& inner) -> Coro<> {
                (void)inner.create_task(fail_later("inner", 1s));
                co_await forever();
            });
            const auto outcome = co_await as_outcome(sleep(0s));
            next = error_of(outcome);
        });
        EXPECT_EQ(inside, "(inner)");
        EXPECT_EQ(next, "CancelledError");
        EXPECT_EQ(end, "(outer)");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(0s);
    });
}

TEST(TaskGroup, TG_23_a_cancel_from_outside_concurrent_with_an_inner_failure) {
    testing::run([]() -> Coro<> {
        std::string inside;
        std::string next;
        std::uint32_t requests = 0;
        Task<> parent = create_task([&]() -> Coro<> {
            inside = co_await group_of([](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(fail_later("inner", 1s));
                co_await forever();
            });
            requests = current_task().cancelling();
            const auto outcome = co_await as_outcome(sleep(0s));
            next = error_of(outcome);
        });
        co_await turns(2);
        get_running_loop().call_later(1s, [&] { parent.cancel(); });
        co_await parent;
        EXPECT_EQ(inside, "(inner)");
        EXPECT_EQ(requests, 1u);
        EXPECT_EQ(next, "CancelledError");
    });
}

TEST(TaskGroup, TG_35_a_timeout_around_a_group) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto outcome = co_await as_outcome(timeout(1s, [&]() -> Coro<> {
            co_await with(TaskGroup(), [&](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(note_cancel(events, "child"));
                co_return;
            });
        }));
        EXPECT_TRUE(error_of(outcome).starts_with("asyncio::TimeoutError"));
        EXPECT_EQ(events, (Events{"child cancelled"}));
        EXPECT_EQ(current_task().cancelling(), 0u);
    });
}

TEST(TaskGroup, TMO_26_a_timeout_around_a_group_whose_children_fail_when_cancelled) {
    testing::run([]() -> Coro<> {
        const auto outcome = co_await as_outcome(timeout(1s, [&]() -> Coro<> {
            co_await with(TaskGroup(), [](TaskGroup& tg) -> Coro<> {
                (void)tg.create_task(fail_when_cancelled("clean-up"));
                co_return;
            });
        }));
        EXPECT_EQ(contents(outcome), "(clean-up)");
        EXPECT_EQ(current_task().cancelling(), 0u);
        co_await sleep(1s);
    });
}

}  // namespace
}  // namespace asyncio
