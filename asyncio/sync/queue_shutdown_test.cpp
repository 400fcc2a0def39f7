// SPDX-License-Identifier: MIT
//
// How a queue ends: by shutdown(), by its destructor, or with its loop.
#include <asyncio/sync/queue.hpp>
#include <asyncio/sync/queue_fixture_test.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {
namespace {

using namespace sync_tests;

TYPED_TEST_SUITE(AnyQueue, AllQueues, QueueNames);

TYPED_TEST(AnyQueue, QUE_18_QUE_19_after_shutdown_no_puts_and_gets_until_empty) {
    testing::run([]() -> Coro<> {
        TypeParam queue(3);
        queue.put_nowait(1);
        queue.put_nowait(2);
        queue.shutdown();
        EXPECT_THROW(queue.put_nowait(3), QueueShutDown);
        const auto put = co_await as_outcome(queue.put(3));
        EXPECT_EQ(error_of(put), "asyncio::QueueShutDown: the queue was shut down");
        co_await queue.get();
        (void)queue.get_nowait();
        EXPECT_THROW((void)queue.get_nowait(), QueueShutDown);
        const auto get = co_await as_outcome(queue.get());
        EXPECT_EQ(error_of(get), "asyncio::QueueShutDown: the queue was shut down");
    });
}

TYPED_TEST(AnyQueue, QUE_20_shutdown_wakes_blocked_getters_and_putters) {
    testing::run([]() -> Coro<> {
        TypeParam empty;
        TypeParam full(1);
        full.put_nowait(1);
        std::vector<Task<int>> getters;
        std::vector<Task<>> putters;
        for (int i = 0; i < 3; ++i) {
            getters.push_back(create_task(empty.get()));
            putters.push_back(create_task(full.put(i)));
        }
        co_await turns(1);
        putters[1].cancel();
        empty.shutdown();
        full.shutdown();
        co_await turns(2);
        for (auto& getter : getters) {
            const auto end = co_await as_outcome(getter);
            EXPECT_EQ(error_of(end), "asyncio::QueueShutDown: the queue was shut down");
        }
        const auto end = co_await as_outcome(putters[2]);
        EXPECT_EQ(error_of(end), "asyncio::QueueShutDown: the queue was shut down");
        EXPECT_TRUE(putters[1].cancelled());
        EXPECT_THROW(std::rethrow_exception(putters[0].exception()), QueueShutDown);
        EXPECT_EQ(drain(full), (std::vector<int>{1}));
    });
}

TYPED_TEST(AnyQueue, QUE_20_a_queue_may_die_right_after_its_shutdown) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        std::optional<TypeParam> queue(std::in_place);
        const Task<int> getter = create_task(queue->get());
        co_await turns(1);
        queue->shutdown();
        queue.reset();
        const auto end = co_await as_outcome(getter);
        EXPECT_EQ(error_of(end), "asyncio::QueueShutDown: the queue was shut down");
        EXPECT_TRUE(errors.reports().empty());
        get_running_loop().set_exception_handler(nullptr);
    });
}

TYPED_TEST(AnyQueue, QUE_21_QUE_22_QUE_23_an_immediate_shutdown_drops_the_items) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        for (int i = 0; i < 3; ++i) queue.put_nowait(i);
        (void)queue.get_nowait();
        const Task<> join = create_task(queue.join());
        co_await turns(1);
        queue.shutdown(true);
        EXPECT_EQ(queue.qsize(), 0u);
        co_await turns(2);
        EXPECT_FALSE(join.done());  // one was taken and is not done
        queue.task_done();
        co_await join;
        EXPECT_THROW(queue.task_done(), std::invalid_argument);
        EXPECT_THROW((void)queue.get_nowait(), QueueShutDown);
    });
}

TYPED_TEST(AnyQueue, QUE_22_an_immediate_shutdown_releases_join_if_nothing_is_left_to_do) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        queue.put_nowait(1);
        const Task<> join = create_task(queue.join());
        co_await turns(1);
        queue.shutdown(true);
        co_await join;
        EXPECT_TRUE(queue.empty());
    });
}

TYPED_TEST(AnyQueue, QUE_24_shutdown_is_idempotent_and_a_plain_one_may_become_immediate) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        queue.put_nowait(1);
        queue.shutdown();
        queue.shutdown();
        EXPECT_EQ(queue.qsize(), 1u);
        queue.shutdown(true);
        EXPECT_EQ(queue.qsize(), 0u);
        queue.shutdown(true);
        co_await queue.join();
        EXPECT_THROW(queue.put_nowait(1), QueueShutDown);
    });
}

TYPED_TEST(AnyQueue, QUE_26_the_description_shows_the_state) {
    testing::run([]() -> Coro<> {
        TypeParam queue(2);
        EXPECT_EQ(queue.description(), "<Queue maxsize=2 items=0>");
        queue.put_nowait(1);
        queue.put_nowait(2);
        const Task<> putter = create_task(queue.put(3));
        co_await turns(1);
        EXPECT_EQ(queue.description(), "<Queue maxsize=2 items=2 putters=1 unfinished=2>");
        queue.shutdown();
        const auto end = co_await as_outcome(putter);
        EXPECT_FALSE(end);
        EXPECT_EQ(queue.description(), "<Queue maxsize=2 items=2 unfinished=2 shutdown>");
    });
}

TYPED_TEST(AnyQueue, destroying_one_with_waiters_is_reported_and_fails_them) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        std::optional<TypeParam> queue(std::in_place);
        const Task<int> woken = create_task(queue->get(), {.name = "woken"});
        const Task<int> waiting = create_task(queue->get(), {.name = "waiting"});
        co_await turns(1);
        queue->put_nowait(1);
        queue.reset();
        EXPECT_EQ(errors.messages(),
                  (Events{"Queue was destroyed while tasks were waiting for it"}));
        EXPECT_EQ(errors.reports()[0].task, "woken, waiting");
        const auto a = co_await as_outcome(woken);
        const auto b = co_await as_outcome(waiting);
        EXPECT_EQ(error_of(a), error_of(b));
        EXPECT_EQ(error_of(a),
                  "std::logic_error: Queue was destroyed while this task was waiting for it");
        get_running_loop().set_exception_handler(nullptr);
    });
}

TYPED_TEST(AnyQueue, closing_the_loop_under_getters_and_putters_loses_nothing) {
    TypeParam queue(1);
    TypeParam full(1);
    full.put_nowait(1);
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    Events events;
    loop->run_until_complete([&]() -> Coro<> {
        for (int i = 0; i < 2; ++i) {
            (void)create_task(get_and_note(queue, events, "never"));
            (void)create_task(put_and_note(full, events, i));
        }
        co_await turns(1);
    });
    queue.put_nowait(5);  // one getter is on its way
    loop->close();
    EXPECT_EQ(errors.reports().size(), 4u);
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(queue.description(), "<Queue maxsize=1 items=1 unfinished=1>");
    EXPECT_EQ(full.description(), "<Queue maxsize=1 items=1 unfinished=1>");
}

TEST(Queue, destructors_of_dropped_items_may_look_at_the_queue) {
    struct Item {
        explicit Item(Queue<std::unique_ptr<Item>>& q, std::size_t& s) : queue(q), seen(s) {}
        ~Item() { seen = queue.qsize(); }
        Queue<std::unique_ptr<Item>>& queue;
        std::size_t& seen;
    };
    Queue<std::unique_ptr<Item>> queue;
    std::size_t seen = 99;
    queue.put_nowait(std::make_unique<Item>(queue, seen));
    queue.shutdown(true);
    EXPECT_EQ(seen, 0u);
}

}  // namespace
}  // namespace asyncio
