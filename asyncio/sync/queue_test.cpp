// SPDX-License-Identifier: MIT
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

// --- order ----------------------------------------------------------------------------------

TEST(Queue, QUE_01_first_in_first_out) {
    Queue<int> queue;
    std::vector<int> expected;
    for (int i = 0; i < 1000; ++i) {  // grows, and wraps around
        queue.put_nowait(i);
        if (i % 3 == 0) {
            const int item = queue.get_nowait();
            EXPECT_EQ(item, i / 3);
        }
    }
    for (int i = 334; i < 1000; ++i) expected.push_back(i);
    EXPECT_EQ(drain(queue), expected);
}

TEST(Queue, QUE_14_a_priority_queue_gives_the_smallest_a_lifo_queue_the_newest) {
    PriorityQueue<int> smallest;
    LifoQueue<int> newest;
    for (const int i : {5, 1, 4, 1, 3, 9, 2}) {
        smallest.put_nowait(i);
        newest.put_nowait(i);
    }
    EXPECT_EQ(drain(smallest), (std::vector<int>{1, 1, 2, 3, 4, 5, 9}));
    EXPECT_EQ(drain(newest), (std::vector<int>{2, 9, 3, 1, 4, 1, 5}));
}

TEST(Queue, QUE_14_a_priority_queue_takes_a_comparator_and_keeps_the_order_of_equals) {
    using Job = std::pair<int, int>;  // priority, number
    const auto more_urgent = [](const Job& a, const Job& b) { return a.first > b.first; };
    PriorityQueue<Job, decltype(more_urgent)> jobs(0, more_urgent);
    for (int i = 0; i < 1000; ++i) jobs.put_nowait(Job(i * 7919 % 10, i));
    Job last = jobs.get_nowait();
    for (int i = 1; i < 1000; ++i) {
        const Job job = jobs.get_nowait();
        EXPECT_TRUE(last.first > job.first || last.second < job.second);
        last = job;
    }
    EXPECT_TRUE(jobs.empty());
}

TEST(Queue, items_may_be_move_only) {
    testing::run([]() -> Coro<> {
        struct Greater {
            bool operator()(const std::unique_ptr<int>& a, const std::unique_ptr<int>& b) const {
                return *a > *b;
            }
        };
        Queue<std::unique_ptr<int>> fifo(1);
        LifoQueue<std::unique_ptr<int>> lifo;
        PriorityQueue<std::unique_ptr<int>, Greater> largest;
        const Task<> putter = create_task([&]() -> Coro<> {
            for (int i = 0; i < 100; ++i) co_await fifo.put(std::make_unique<int>(i));
        });
        for (int i = 0; i < 100; ++i) {
            std::unique_ptr<int> item = co_await fifo.get();
            EXPECT_EQ(*item, i);
            lifo.put_nowait(std::make_unique<int>(i));
            co_await largest.put(std::move(item));
        }
        for (int i = 99; i >= 0; --i) {
            const auto a = co_await lifo.get();
            const auto b = largest.get_nowait();
            EXPECT_EQ(*a, i);
            EXPECT_EQ(*b, i);
        }
        co_await putter;
    });
}

// --- waiting --------------------------------------------------------------------------------

TYPED_TEST(AnyQueue, QUE_02_QUE_25_get_waits_while_empty_and_put_while_full) {
    testing::run([]() -> Coro<> {
        TypeParam queue(1);
        Events events;
        const Task<> getter = create_task(get_and_note(queue, events, "getter"));
        co_await turns(2);
        EXPECT_FALSE(getter.done());
        Iterations iterations;
        co_await queue.put(1);
        EXPECT_EQ(iterations.count(), 0);  // there was room
        co_await getter;
        queue.put_nowait(2);
        const Task<> putter = create_task(put_and_note(queue, events, 3));
        co_await turns(2);
        EXPECT_FALSE(putter.done());
        const int before = iterations.count();
        const int item = co_await queue.get();
        EXPECT_EQ(item, 2);
        EXPECT_EQ(iterations.count(), before);  // there was one
        co_await putter;
        EXPECT_EQ(events, (Events{"getter got 1", "put 3"}));
    });
}

TYPED_TEST(AnyQueue, QUE_03_the_nowait_calls_throw_instead) {
    TypeParam queue(1);
    EXPECT_THROW((void)queue.get_nowait(), QueueEmpty);
    queue.put_nowait(1);
    EXPECT_THROW(queue.put_nowait(2), QueueFull);
    EXPECT_EQ(queue.get_nowait(), 1);
}

TYPED_TEST(AnyQueue, QUE_04_zero_or_less_is_no_limit) {
    for (const int maxsize : {0, -1}) {
        TypeParam queue(maxsize);
        for (int i = 0; i < 10000; ++i) queue.put_nowait(i);
        EXPECT_FALSE(queue.full());
        EXPECT_EQ(queue.qsize(), 10000u);
        EXPECT_EQ(queue.maxsize(), maxsize);
    }
}

TYPED_TEST(AnyQueue, QUE_05_the_numbers_are_exact_even_with_tasks_on_their_way) {
    testing::run([]() -> Coro<> {
        TypeParam queue(2);
        Events events;
        EXPECT_TRUE(queue.empty());
        const Task<> getter = create_task(get_and_note(queue, events, "getter"));
        co_await turns(1);
        queue.put_nowait(1);
        EXPECT_EQ(queue.qsize(), 1u);  // the getter is on its way
        EXPECT_FALSE(queue.full());
        queue.put_nowait(2);
        EXPECT_TRUE(queue.full());
        EXPECT_FALSE(queue.empty());
        EXPECT_EQ(queue.maxsize(), 2);
        co_await getter;
        EXPECT_EQ(queue.qsize(), 1u);
    });
}

TYPED_TEST(AnyQueue, QUE_06_one_put_wakes_one_getter_one_get_one_putter_in_their_order) {
    testing::run([]() -> Coro<> {
        TypeParam queue(1);
        Events events;
        const auto getters = start_all({"a", "b", "c"}, [&](auto name) {
            return create_task(get_and_note(queue, events, name));
        });
        co_await turns(1);
        queue.put_nowait(1);
        co_await turns(2);
        EXPECT_EQ(events, (Events{"a got 1"}));
        queue.put_nowait(2);
        co_await turns(2);
        queue.put_nowait(3);
        co_await turns(2);
        EXPECT_EQ(events, (Events{"a got 1", "b got 2", "c got 3"}));
        events.clear();
        queue.put_nowait(0);
        std::vector<Task<>> putters;
        for (int i = 1; i <= 3; ++i) putters.push_back(create_task(put_and_note(queue, events, i)));
        co_await turns(1);
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(queue.get_nowait(), i);
            co_await turns(2);
        }
        EXPECT_EQ(events, (Events{"put 1", "put 2", "put 3"}));
    });
}

TYPED_TEST(AnyQueue, QUE_07_an_item_may_be_taken_before_the_woken_getter_runs) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        Events events;
        const auto getters = start_all({"a", "b", "c"}, [&](auto name) {
            return create_task(get_and_note(queue, events, name));
        });
        co_await turns(1);
        queue.put_nowait(1);
        EXPECT_EQ(queue.get_nowait(), 1);
        co_await turns(3);
        EXPECT_TRUE(events.empty());
        queue.put_nowait(2);  // it kept its place
        co_await turns(2);
        EXPECT_EQ(events, (Events{"a got 2"}));
        queue.put_nowait(3);  // two on their way, one item
        queue.put_nowait(4);
        (void)queue.get_nowait();
        co_await turns(2);
        EXPECT_EQ(events.size(), 2u);
        EXPECT_EQ(events[1].substr(0, 1), "b");
        queue.put_nowait(5);
        co_await turns(2);
        EXPECT_EQ(events[2], "c got 5");
    });
}

TYPED_TEST(AnyQueue, QUE_07_room_may_be_taken_before_the_woken_putter_runs) {
    testing::run([]() -> Coro<> {
        TypeParam queue(1);
        Events events;
        queue.put_nowait(0);
        const Task<> putter = create_task(put_and_note(queue, events, 2));
        co_await turns(1);
        (void)queue.get_nowait();
        queue.put_nowait(1);
        co_await turns(3);
        EXPECT_TRUE(events.empty());
        EXPECT_EQ(queue.get_nowait(), 1);
        co_await putter;
        EXPECT_EQ(queue.get_nowait(), 2);
    });
}

// --- join -----------------------------------------------------------------------------------

TYPED_TEST(AnyQueue, QUE_15_QUE_17_join_waits_until_every_item_that_entered_is_done) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        Iterations iterations;
        co_await queue.join();
        EXPECT_EQ(iterations.count(), 0);
        queue.put_nowait(1);
        queue.put_nowait(2);
        const Task<> join = create_task(queue.join());
        (void)queue.get_nowait();
        (void)queue.get_nowait();
        co_await turns(2);
        EXPECT_FALSE(join.done());  // taken is not done
        queue.task_done();
        co_await turns(2);
        EXPECT_FALSE(join.done());
        queue.task_done();
        co_await join;
        co_await queue.join();
    });
}

TYPED_TEST(AnyQueue, QUE_16_task_done_called_too_often_is_an_error) {
    TypeParam queue;
    EXPECT_THROW(queue.task_done(), std::invalid_argument);
    queue.put_nowait(1);
    queue.task_done();
    EXPECT_THROW(queue.task_done(), std::invalid_argument);
}

TYPED_TEST(AnyQueue, QUE_15_a_cancelled_join_leaves_nothing_behind) {
    testing::run([]() -> Coro<> {
        TypeParam queue;
        queue.put_nowait(1);
        const Task<> join = create_task(queue.join());
        co_await turns(1);
        join.cancel();
        const auto end = co_await as_outcome(join);
        EXPECT_TRUE(end.cancelled());
        queue.task_done();
        co_await queue.join();
        EXPECT_EQ(queue.qsize(), 1u);
    });
}

// --- other loops, other items ----------------------------------------------------------------

TEST(Queue, waiting_on_a_second_loop_is_an_error_at_either_end) {
    Queue<int> queue;
    const auto get = [&]() -> Coro<> { co_await queue.get(); };
    const auto put = [&]() -> Coro<> {
        Queue<int>* const same = &queue;
        co_await same->join();
    };
    const std::string get_error = on_two_loops(get, get);
    EXPECT_NE(get_error.find("Queue.get(): bound to a different event loop"), std::string::npos);
    queue.put_nowait(1);
    auto loop = testing::make_virtual_loop();
    const auto joined = loop->run_until_complete(as_outcome(put()));
    loop->close();
    EXPECT_NE(error_of(joined).find("Queue.join(): bound to a different event loop"),
              std::string::npos);
}

TEST(Queue, items_iterates_until_the_queue_is_shut_down_and_empty) {
    testing::run([]() -> Coro<> {
        PriorityQueue<int> queue;
        queue.put_nowait(2);
        queue.put_nowait(1);
        auto items = queue.items();
        const std::optional<int> first = co_await items.next();
        EXPECT_EQ(first, 1);
        get_running_loop().call_later(1s, [&] { queue.shutdown(); });
        const std::optional<int> second = co_await items.next();
        EXPECT_EQ(second, 2);
        const std::optional<int> none = co_await items.next();
        EXPECT_EQ(none, std::nullopt);
        Queue<int> other;
        auto more = other.items();
        Task<std::optional<int>> waiting = create_task(more.next());
        co_await sleep(0s);
        waiting.cancel();  // no end of the queue, and no item lost
        const auto outcome = co_await as_outcome(waiting);
        EXPECT_TRUE(outcome.cancelled());
    });
}

TEST(Queue, growing_copies_items_that_could_throw_when_moved) {
    struct Careful {
        explicit Careful(int v) : value(v) {}
        Careful(const Careful& other) : value(other.value), copied(true) {}
        Careful(Careful&& other) noexcept(false) : value(other.value) {}
        int value;
        bool copied = false;
    };
    Queue<Careful> queue;
    for (int i = 0; i < 100; ++i) queue.put_nowait(Careful(i));
    for (int i = 0; i < 100; ++i) EXPECT_EQ(queue.get_nowait().value, i);
}

template <class Q>
void an_item_whose_move_throws_stays() {
    struct Fragile {
        Fragile(int v, bool& b) : value(v), breaks(&b) {}
        Fragile(Fragile&& other) noexcept(false) : value(other.value), breaks(other.breaks) {
            if (*breaks) throw std::runtime_error("broken on the way");
        }
        int value;
        bool* breaks;
    };
    bool breaks = false;
    typename Q::template Of<Fragile> queue;
    queue.put_nowait(Fragile(1, breaks));
    breaks = true;
    EXPECT_THROW(queue.get_nowait(), std::runtime_error);
    EXPECT_THROW(queue.put_nowait(Fragile(2, breaks)), std::runtime_error);
    breaks = false;
    EXPECT_EQ(queue.qsize(), 1u);
    EXPECT_EQ(queue.get_nowait().value, 1);
    EXPECT_THROW(queue.get_nowait(), QueueEmpty);
}

struct Fifo {
    template <class T>
    using Of = Queue<T>;
};
struct Lifo {
    template <class T>
    using Of = LifoQueue<T>;
};

TEST(Queue, an_item_whose_move_throws_stays_in_it) {
    an_item_whose_move_throws_stays<Fifo>();
    an_item_whose_move_throws_stays<Lifo>();
}

}  // namespace
}  // namespace asyncio
