// SPDX-License-Identifier: MIT
#include <asyncio/sync/queue.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {
namespace {

using namespace sync_tests;

template <class Q>
Coro<> get_and_note(Q& queue, Events& events, std::string name) {
    const auto item = co_await queue.get();
    events.push_back(name + " got " + std::to_string(item));
}

template <class Q>
Coro<> put_and_note(Q& queue, Events& events, int item) {
    co_await queue.put(item);
    events.push_back("put " + std::to_string(item));
}

template <class Q>
std::vector<int> drain(Q& queue) {
    std::vector<int> items;
    while (!queue.empty()) items.push_back(queue.get_nowait());
    return items;
}

/// The same rules hold for all three.
template <class Q>
class AnyQueue : public ::testing::Test {};
using AllQueues = ::testing::Types<Queue<int>, LifoQueue<int>, PriorityQueue<int>>;
class QueueNames {
  public:
    template <class Q>
    static std::string GetName(int) {
        if (std::is_same_v<Q, Queue<int>>) return "fifo";
        return std::is_same_v<Q, LifoQueue<int>> ? "lifo" : "priority";
    }
};
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

// --- cancellation ---------------------------------------------------------------------------

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

// --- shutdown -------------------------------------------------------------------------------

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

// --- the end of the queue, or of the loop, or of an item --------------------------------------

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

}  // namespace
}  // namespace asyncio
