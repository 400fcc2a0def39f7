// SPDX-License-Identifier: MIT
//
// Getters and putters that are cancelled: no item is lost, none is there twice, and the next in
// line has its turn.
#include <asyncio/sync/queue.hpp>
#include <asyncio/sync/queue_fixture_test.hpp>

#include <array>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {
namespace {

using namespace sync_tests;

TYPED_TEST_SUITE(AnyQueue, AllQueues, QueueNames);

TYPED_TEST(AnyQueue, QUE_08_a_cancelled_getter_is_gone_and_the_next_gets_the_item) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        Events events;
        auto getters = start_all(
            {"a", "b"}, [&](auto name) { return create_task(get_and_note(queue, events, name)); });
        co_await turns(1);
        getters[0].cancel();
        queue.put_nowait(1);
        co_await turns(2);
        EXPECT_EQ(events, (Events{"b got 1"}));
        EXPECT_TRUE(getters[0].cancelled());
    });
}

TYPED_TEST(AnyQueue, QUE_09_a_getter_cancelled_on_its_way_leaves_the_item_to_the_next) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        Events events;
        auto getters = start_all(
            {"a", "b"}, [&](auto name) { return create_task(get_and_note(queue, events, name)); });
        co_await turns(1);
        queue.put_nowait(1);
        getters[0].cancel();
        EXPECT_EQ(queue.qsize(), 1u);
        co_await turns(3);
        EXPECT_EQ(events, (Events{"b got 1"}));
        EXPECT_TRUE(getters[0].cancelled());
        const Task<> last = create_task(get_and_note(queue, events, "last"));
        co_await turns(1);
        queue.put_nowait(2);
        last.cancel();
        co_await turns(2);
        EXPECT_EQ(queue.qsize(), 1u);
        EXPECT_EQ(queue.get_nowait(), 2);
    });
}

TYPED_TEST(AnyQueue, QUE_10_QUE_11_a_cancelled_putter_inserts_nothing_and_passes_its_room_on) {
    testing::run([]() -> Coro<> {
        TypeParam queue(1);
        Events events;
        queue.put_nowait(0);
        std::vector<Task<>> putters;
        for (int i = 1; i <= 3; ++i) putters.push_back(create_task(put_and_note(queue, events, i)));
        co_await turns(1);
        putters[0].cancel();
        EXPECT_EQ(queue.get_nowait(), 0);
        putters[1].cancel();  // on its way
        co_await turns(3);
        EXPECT_EQ(events, (Events{"put 3"}));
        EXPECT_EQ(drain(queue), (std::vector<int>{3}));
        EXPECT_TRUE(putters[0].cancelled() && putters[1].cancelled());
    });
}

TYPED_TEST(AnyQueue, QUE_12_cancelled_waiters_leave_nothing_behind) {
    testing::run([]() -> Coro<> {
        TypeParam queue(1);
        Events events;
        auto getters = start_all({"a", "b", "c"}, [&](auto name) {
            return create_task(get_and_note(queue, events, name));
        });
        co_await turns(1);
        EXPECT_EQ(queue.description(), "<Queue maxsize=1 items=0 getters=3>");
        for (auto& getter : getters) getter.cancel();
        EXPECT_EQ(queue.description(), "<Queue maxsize=1 items=0>");
        queue.put_nowait(1);
        const Task<> putter = create_task(put_and_note(queue, events, 2));
        co_await turns(1);
        putter.cancel();
        co_await turns(1);
        EXPECT_EQ(queue.description(), "<Queue maxsize=1 items=1 unfinished=1>");
        EXPECT_TRUE(events.empty());
    });
}

TYPED_TEST(AnyQueue, WFOR_17_a_get_that_times_out_leaves_no_waiter_and_loses_no_item) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        const auto timed_out = co_await as_outcome(wait_for(queue.get(), 1s));
        EXPECT_EQ(error_of(timed_out).substr(0, 21), "asyncio::TimeoutError");
        EXPECT_EQ(queue.description(), "<Queue maxsize=0 items=0>");
        queue.put_nowait(1);
        const int item = co_await wait_for(queue.get(), 1s);
        EXPECT_EQ(item, 1);
        const auto shut_down = [&]() -> Coro<> {
            queue.shutdown();
            co_return;
        };
        const auto shut = co_await as_outcome(gather(queue.get(), shut_down()));
        EXPECT_FALSE(shut);
    });
}

TYPED_TEST(AnyQueue, QUE_13_producers_and_consumers_through_one_slot_never_deadlock) {
    testing::run([]() -> Coro<> {
        TypeParam queue(1);
        std::vector<int> got;
        std::vector<Task<>> tasks;
        for (int p = 0; p < 3; ++p)
            tasks.push_back(create_task([&queue, p]() -> Coro<> {
                for (int i = 0; i < 100; ++i) co_await queue.put(p * 100 + i);
            }));
        for (int c = 0; c < 4; ++c)
            tasks.push_back(create_task([&]() -> Coro<> {
                for (int i = 0; i < 75; ++i) {
                    const int item = co_await queue.get();
                    got.push_back(item);
                }
            }));
        for (const auto& task : tasks) co_await task;
        std::vector<int> count(300);
        for (const int item : got) ++count[static_cast<std::size_t>(item)];
        EXPECT_EQ(count, std::vector<int>(300, 1));
    });
}

TEST(Queue, who_gets_no_memory_for_its_item_leaves_the_room_to_the_next) {
    static int failures = 0;
    struct Big {
        Big() = default;
        Big(const Big&) {  // what growing does with it, since its move may throw
            if (failures > 0 && failures-- > 0) throw std::bad_alloc();
        }
        Big(Big&&) noexcept(false) {}
        std::array<char, 8192> bytes = {};
    };
    testing::run([]() -> Coro<> {
        Queue<Big> queue(2);
        queue.put_nowait(Big());
        queue.put_nowait(Big());
        const auto put = [](Queue<Big>& to) -> Coro<> { co_await to.put(Big()); };
        const Task<> first = create_task(put(queue));
        const Task<> second = create_task(put(queue));
        const Task<> third = create_task(put(queue));
        co_await sleep(0s);
        queue.get_nowait();
        queue.get_nowait();  // the queue lets its memory go
        failures = 1;
        co_await first;
        const auto outcome = co_await as_outcome(second);
        EXPECT_THROW(std::rethrow_exception(outcome.error()), std::bad_alloc);
        co_await wait_for(third, 1s);
        EXPECT_TRUE(queue.full());
    });
}

}  // namespace
}  // namespace asyncio
