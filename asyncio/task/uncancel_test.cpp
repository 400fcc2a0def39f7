// SPDX-License-Identifier: MIT
//
// How requests to cancel are counted, and taken back.
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/timeout.hpp>

#include <string>

namespace asyncio {
namespace {

using namespace task_tests;

TEST(Cancel, CANC_16_two_requests_give_one_error_with_the_first_message) {
    testing::run([]() -> Coro<> {
        const auto check = [](Task<> t) -> Coro<> {
            t.cancel("first");
            t.cancel("second");
            EXPECT_EQ(t.cancelling(), 2u);
            const auto outcome = co_await as_outcome(t);
            EXPECT_EQ(error_of(outcome), "CancelledError: first");
            EXPECT_EQ(t.cancelling(), 2u);
        };
        Future<int> f;
        Task<> on_future = create_task(await_future(f));
        Task<> on_sleep = create_task(forever());
        Task<> on_turns = create_task(turns(100));
        co_await sleep(0s);
        co_await check(on_future);
        co_await check(on_sleep);
        co_await check(on_turns);
        co_await check(create_task(forever()));
    });
}

TEST(Cancel, CANC_17_cancelling_counts_and_never_goes_below_zero) {
    testing::run([]() -> Coro<> {
        Task<int> t = create_task(swallow_cancel(1));
        EXPECT_EQ(t.uncancel(), 0u);
        co_await sleep(0s);
        t.cancel();
        t.cancel();
        EXPECT_EQ(t.cancelling(), 2u);
        EXPECT_EQ(t.uncancel(), 1u);
        EXPECT_EQ(t.uncancel(), 0u);
        EXPECT_EQ(t.uncancel(), 0u);
        EXPECT_EQ(t.cancelling(), 0u);
        (void)co_await as_outcome(t);
    });
}

TEST(Cancel, CANC_19_uncancel_to_zero_revokes_what_was_not_delivered) {
    testing::run([]() -> Coro<> {
        Task<int> fresh = create_task(at_once(1));
        fresh.cancel();
        EXPECT_EQ(fresh.uncancel(), 0u);
        const int v = co_await fresh;
        EXPECT_EQ(v, 1);
        Task<int> running = create_task([]() -> Coro<int> {
            current_task().cancel();
            current_task().uncancel();
            co_await sleep(0s);
            co_return 2;
        });
        const int w = co_await running;
        EXPECT_EQ(w, 2);
        Future<int> f;
        Task<> woken = create_task(await_future(f));
        co_await sleep(0s);
        f.set_result(1);
        woken.cancel();
        woken.uncancel();
        co_await woken;
    });
}

TEST(Cancel, CANC_20_uncancel_does_not_revoke_what_the_wait_took_over) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<> on_future = create_task(await_future(f));
        Task<> on_sleep = create_task(forever());
        co_await sleep(0s);
        on_future.cancel("a");
        on_sleep.cancel("b");
        EXPECT_EQ(on_future.uncancel(), 0u);
        EXPECT_EQ(on_sleep.uncancel(), 0u);
        const auto first = co_await as_outcome(on_future);
        const auto second = co_await as_outcome(on_sleep);
        EXPECT_EQ(error_of(first), "CancelledError: a");
        EXPECT_EQ(error_of(second), "CancelledError: b");
    });
}

TEST(Cancel, CANC_21_uncancel_from_two_to_one_leaves_it_in_force) {
    testing::run([]() -> Coro<> {
        Task<int> t = create_task(at_once(1));
        t.cancel();
        t.cancel();
        EXPECT_EQ(t.uncancel(), 1u);
        (void)co_await as_outcome(t);
        EXPECT_TRUE(t.cancelled());
    });
}

TEST(Cancel, CANC_22_uncancel_of_a_finished_task_changes_nothing) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task(forever());
        t.cancel();
        (void)co_await as_outcome(t);
        EXPECT_EQ(t.uncancel(), 0u);
        EXPECT_TRUE(t.cancelled());
    });
}

TEST(Cancel, CANC_23_a_block_that_takes_its_own_request_back_leaves_no_trace) {
    testing::run([]() -> Coro<> {
        const AnyTask self = current_task();
        Handle timer = get_running_loop().call_later(1s, [self] { self.cancel(); });
        const auto outcome = co_await as_outcome(forever());
        timer.cancel();
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_EQ(self.uncancel(), 0u);
        co_await sleep(1s);
        EXPECT_EQ(self.cancelling(), 0u);
    });
}

}  // namespace
}  // namespace asyncio
