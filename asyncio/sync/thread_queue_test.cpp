// SPDX-License-Identifier: MIT
#include <asyncio/sync/queue_core.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>
#include <asyncio/sync/thread_queue.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <vector>

namespace asyncio {
namespace {

using namespace sync_tests;

constexpr const char* kShutDown = "asyncio::QueueShutDown: the queue was shut down";

Coro<> get_and_note(ThreadQueue<int>& queue, Events& events, std::string name) {
    const int item = co_await queue.get();
    events.push_back(name + " got " + std::to_string(item));
}

// --- in one loop: the rules of Queue ----------------------------------------------------------

TEST(ThreadQueue, is_a_bounded_fifo_that_does_not_suspend_without_need) {
    testing::run([]() -> Coro<> {
        ThreadQueue<std::unique_ptr<int>> queue(2);
        Iterations iterations;
        co_await queue.put(std::make_unique<int>(1));
        queue.put_nowait(std::make_unique<int>(2));
        EXPECT_TRUE(queue.full());
        EXPECT_THROW(queue.put_nowait(nullptr), QueueFull);
        const auto one = co_await queue.get();
        const auto two = queue.get_nowait();
        EXPECT_EQ(*one + 2 * *two, 5);
        EXPECT_EQ(iterations.count(), 0);
        EXPECT_TRUE(queue.empty());
        EXPECT_THROW((void)queue.get_nowait(), QueueEmpty);
        EXPECT_EQ(queue.description(), "<ThreadQueue maxsize=2 items=0>");
        EXPECT_EQ(ThreadQueue<int>().maxsize(), 64);
    });
}

TEST(ThreadQueue, an_item_whose_move_throws_is_not_counted_when_it_has_gone) {
    struct Fragile {
        Fragile(int v, int& n) : value(v), moves_left(&n) {}
        Fragile(Fragile&& other) noexcept(false)
            : value(other.value), moves_left(other.moves_left) {
            if ((*moves_left)-- == 0) throw std::runtime_error("broken on the way");
        }
        int value;
        int* moves_left;
    };
    // Out of the queue, and on to whoever asked.
    for (int moves = 0; moves < 3; ++moves) {
        int moves_left = -1;
        ThreadQueue<Fragile> queue;
        queue.put_nowait(Fragile(1, moves_left));
        queue.put_nowait(Fragile(2, moves_left));
        moves_left = moves;
        std::vector<int> got;
        for (int i = 0; i < 3; ++i) {
            try {
                got.push_back(queue.get_nowait().value);
            } catch (const std::runtime_error&) {  // also QueueEmpty
            }
        }
        EXPECT_EQ(queue.qsize(), 0u);
        EXPECT_EQ(got.back(), 2) << moves;
        EXPECT_THROW(queue.get_nowait(), QueueEmpty) << moves;
    }
}

TEST(ThreadQueue, getters_and_putters_wait_in_line) {
    testing::run([]() -> Coro<> {
        ThreadQueue<int> queue(1);
        Events events;
        const auto getters = start_all({"a", "b", "c"}, [&](auto name) {
            return create_task(get_and_note(queue, events, name));
        });
        co_await turns(1);
        for (int i = 1; i <= 3; ++i) co_await queue.put(i);
        co_await turns(3);
        EXPECT_EQ(events, (Events{"a got 1", "b got 2", "c got 3"}));
        queue.put_nowait(4);
        const Task<> putter = create_task(queue.put(5));
        co_await turns(1);
        EXPECT_FALSE(putter.done());
        EXPECT_EQ(queue.get_nowait(), 4);
        co_await putter;
        EXPECT_EQ(queue.get_nowait(), 5);
    });
}

TEST(ThreadQueue, a_stolen_item_leaves_the_woken_getters_in_their_places) {
    testing::run([]() -> Coro<> {
        ThreadQueue<int> queue;
        Events events;
        const auto getters = start_all({"a", "b", "c"}, [&](auto name) {
            return create_task(get_and_note(queue, events, name));
        });
        co_await turns(1);
        for (int i = 0; i < 2; ++i) queue.put_nowait(i);
        for (int i = 0; i < 2; ++i) EXPECT_EQ(queue.get_nowait(), i);
        co_await turns(3);
        EXPECT_TRUE(events.empty());
        for (int i = 2; i < 5; ++i) queue.put_nowait(i);
        co_await turns(3);
        EXPECT_EQ(events, (Events{"a got 2", "b got 3", "c got 4"}));
    });
}

TEST(ThreadQueue, a_cancelled_getter_leaves_its_item_to_the_next) {
    testing::run([]() -> Coro<> {
        ThreadQueue<int> queue;
        Events events;
        auto getters = start_all({"a", "b", "c"}, [&](auto name) {
            return create_task(get_and_note(queue, events, name));
        });
        co_await turns(1);
        getters[0].cancel();  // while it waits
        queue.put_nowait(1);
        getters[1].cancel();  // on its way
        co_await turns(3);
        EXPECT_EQ(events, (Events{"c got 1"}));
        EXPECT_TRUE(getters[0].cancelled() && getters[1].cancelled());
        const auto timed_out = co_await as_outcome(wait_for(queue.get(), 1s));
        EXPECT_FALSE(timed_out);
        queue.put_nowait(2);
        EXPECT_EQ(queue.get_nowait(), 2);
    });
}

TEST(ThreadQueue, a_cancelled_putter_inserts_nothing) {
    testing::run([]() -> Coro<> {
        ThreadQueue<int> queue(1);
        queue.put_nowait(0);
        std::vector<Task<>> putters;
        for (int i = 1; i <= 3; ++i) putters.push_back(create_task(queue.put(i)));
        co_await turns(1);
        putters[0].cancel();
        EXPECT_EQ(queue.get_nowait(), 0);
        putters[1].cancel();
        co_await putters[2];
        EXPECT_EQ(queue.get_nowait(), 3);
        EXPECT_TRUE(queue.empty());
    });
}

TEST(ThreadQueue, shutdown_wakes_everybody_and_lets_the_rest_be_fetched) {
    testing::run([]() -> Coro<> {
        ThreadQueue<int> empty;
        ThreadQueue<int> full(1);
        full.put_nowait(1);
        const Task<int> getter = create_task(empty.get());
        const Task<> putter = create_task(full.put(2));
        co_await turns(1);
        empty.shutdown();
        full.shutdown();
        const auto got = co_await as_outcome(getter);
        const auto put = co_await as_outcome(putter);
        EXPECT_EQ(error_of(got), kShutDown);
        EXPECT_EQ(error_of(put), kShutDown);
        EXPECT_THROW(full.put_nowait(3), QueueShutDown);
        EXPECT_EQ(full.get_nowait(), 1);
        EXPECT_THROW((void)full.get_nowait(), QueueShutDown);
        ThreadQueue<int> dropped;
        dropped.put_nowait(1);
        dropped.shutdown(true);
        EXPECT_THROW((void)dropped.get_blocking(), QueueShutDown);
    });
}

TEST(ThreadQueue, blocking_a_running_loop_is_an_error) {
    testing::run([]() -> Coro<> {
        ThreadQueue<int> queue(1);
        EXPECT_THROW((void)queue.get_blocking(), std::logic_error);
        queue.put_blocking(1);  // nothing to wait for
        EXPECT_THROW(queue.put_blocking(2), std::logic_error);
        EXPECT_EQ(queue.get_blocking(), 1);
        co_return;
    });
}

TEST(ThreadQueue, dying_under_its_waiters_fails_them) {
    testing::LogLines lines;
    testing::run([]() -> Coro<> {
        std::optional<ThreadQueue<int>> queue(std::in_place, 4);
        const Task<int> woken = create_task(queue->get());
        const Task<int> waiting = create_task(queue->get());
        co_await turns(1);
        queue->put_nowait(1);
        queue.reset();
        const auto a = co_await as_outcome(woken);
        const auto b = co_await as_outcome(waiting);
        EXPECT_EQ(error_of(a).substr(0, 48), "std::logic_error: ThreadQueue was destroyed whil");
        EXPECT_EQ(error_of(a), error_of(b));
        queue.emplace(4);
        const Task<int> last = create_task(queue->get());
        co_await turns(1);
        queue->shutdown();
        queue.reset();
        const auto c = co_await as_outcome(last);
        EXPECT_EQ(error_of(c), kShutDown);
    });
    EXPECT_TRUE(lines.contains("ThreadQueue was destroyed while 2 tasks or threads"));
    EXPECT_EQ(lines.size(), 1u);
}

// --- between threads --------------------------------------------------------------------------

TEST(ThreadQueue, a_thread_feeds_a_loop_and_back) {
    constexpr int kCount = 2000;
    ThreadQueue<int> there(4);
    ThreadQueue<int> back(0);
    std::thread thread([&] {
        for (int i = 0; i < kCount; ++i) there.put_blocking(i);
        there.shutdown();
        long sum = 0;
        for (int i = 0; i < kCount; ++i) sum += back.get_blocking();
        EXPECT_EQ(sum, 1L * kCount * (kCount - 1));
    });
    asyncio::run([&]() -> Coro<> {
        const Task<> echo = create_task([&]() -> Coro<> {
            for (int expected = 0;; ++expected) {
                const auto item = co_await as_outcome(there.get());
                if (!item) {
                    EXPECT_EQ(error_of(item), kShutDown);
                    EXPECT_EQ(expected, kCount);
                    break;
                }
                EXPECT_EQ(*item, expected);
                co_await back.put(2 * *item);
            }
        });
        co_await echo;
    });
    thread.join();
}

TEST(ThreadQueue, a_blocked_thread_gives_up_in_time_or_is_woken) {
    ThreadQueue<int> queue(1);
    EXPECT_EQ(queue.get_blocking(1ms), std::nullopt);  // deadline: the limit itself is tested
    std::atomic<int> ended{0};
    std::thread getter([&] {
        EXPECT_EQ(queue.get_blocking(std::chrono::hours(1)), 7);
        EXPECT_THROW((void)queue.get_blocking(), QueueShutDown);
        ++ended;
    });
    queue.put_blocking(7);
    queue.shutdown();
    getter.join();
    EXPECT_EQ(ended, 1);
}

TEST(ThreadQueue, a_thread_blocked_in_one_that_dies_gets_out) {
    testing::LogLines lines;
    auto queue = std::make_unique<ThreadQueue<int>>(1);
    queue->put_nowait(1);
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    ThreadQueue<int>* const raw = queue.get();
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([raw, &failed] {
            try {
                raw->put_blocking(2);
            } catch (const std::logic_error&) {
                ++failed;
            }
        });
    while (raw->description().find("waiters=3") == std::string::npos) std::this_thread::yield();
    queue.reset();
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(failed, 3);
    EXPECT_TRUE(lines.contains("3 tasks or threads"));
}

TEST(ThreadQueue, closing_a_loop_hands_what_was_meant_for_it_to_another) {
    ThreadQueue<int> queue;
    auto first = testing::make_virtual_loop();
    auto second = testing::make_virtual_loop();
    testing::ErrorLog errors(*first);
    Events events;
    (void)first->create_task(get_and_note(queue, events, "first"));
    (void)first->create_task(get_and_note(queue, events, "also first"));
    first->run_until_complete(turns(2));
    const Task<> getter = second->create_task(get_and_note(queue, events, "second"));
    second->run_until_complete(turns(2));
    queue.put_nowait(1);  // the first loop does not run: what it was woken for waits for it
    second->run_until_complete(turns(3));
    EXPECT_FALSE(getter.done());
    first->close();
    EXPECT_EQ(errors.reports().size(), 2u);
    second->run_until_complete(getter);
    EXPECT_EQ(events, (Events{"second got 1"}));
    second->close();
}

/// Loops and threads put and get; one get and put in ten of the loops' is cancelled.
class CrossTraffic {
  public:
    void run() {
        std::vector<std::thread> consumers;
        std::vector<std::thread> producers;
        for (int i = 0; i < 2; ++i) {
            consumers.emplace_back([this, i] { consume_in_loop(i); });
            producers.emplace_back([this, i] { produce_in_loop(i); });
        }
        consumers.emplace_back([this] { consume_in_thread(); });
        producers.emplace_back([this] { produce_in_thread(4); });
        for (auto& thread : producers) thread.join();
        queue_.shutdown();
        for (auto& thread : consumers) thread.join();
        EXPECT_EQ(in_.load(), out_.load());
        EXPECT_EQ(sum_in_.load(), sum_out_.load());
        EXPECT_TRUE(queue_.empty());
        EXPECT_GT(in_.load(), 5u * static_cast<unsigned>(each_) / 2);
        ::testing::Test::RecordProperty("figure",
                                        std::to_string(in_.load()) +
                                            " items put by 3 threads and got by 3, one get and "
                                            "put in 10 cancelled, 0 lost (limit 0)");
    }

  private:
    /// Of each producer; ASYNCIO_TEST_SCALE=1 makes it half a million.
    static int items_each() {
        const char* scale = std::getenv("ASYNCIO_TEST_SCALE");
        return std::max(3000, static_cast<int>(scale != nullptr ? 500'000 * std::atof(scale) : 0));
    }
    const int each_ = items_each();

    void put(int item) {
        ++in_;
        sum_in_ += static_cast<std::uint64_t>(item);
    }
    void got(int item) {
        ++out_;
        sum_out_ += static_cast<std::uint64_t>(item);
    }

    void produce_in_thread(int me) {
        for (int i = 0; i < each_; ++i) {
            queue_.put_blocking(me * each_ + i);
            put(me * each_ + i);
        }
    }
    void consume_in_thread() {
        try {
            for (;;) {
                if (const auto item = queue_.get_blocking(1ms)) got(*item);
            }
        } catch (const QueueShutDown&) {
        }
    }
    void produce_in_loop(int me) {
        asyncio::run([&]() -> Coro<> {
            std::vector<Task<>> tasks;
            for (const int half : {0, 1})
                tasks.push_back(create_task([&, half]() -> Coro<> {
                    for (int i = 0; i < each_ / 2; ++i) {
                        const int item = (2 * me + half) * each_ + i;
                        const Task<> task = create_task(queue_.put(item));
                        if (i % 10 == 0) co_await cancel_soon(task, i);
                        const auto outcome = co_await as_outcome(task);
                        if (outcome) put(item);
                    }
                }));
            for (const auto& task : tasks) co_await task;
        });
    }
    void consume_in_loop(int me) {
        asyncio::run([&]() -> Coro<> {
            for (int i = me;; ++i) {
                const Task<int> task = create_task(queue_.get());
                if (i % 10 == 0) co_await cancel_soon(task, i);
                const auto outcome = co_await as_outcome(task);
                if (outcome)
                    got(*outcome);
                else if (!outcome.cancelled())
                    break;
            }
        });
    }
    template <class T>
    static Coro<> cancel_soon(Task<T> task, int i) {
        co_await turns(i / 10 % 3);
        task.cancel();
    }

    ThreadQueue<int> queue_{3};
    std::atomic<std::uint64_t> in_{0};
    std::atomic<std::uint64_t> out_{0};
    std::atomic<std::uint64_t> sum_in_{0};
    std::atomic<std::uint64_t> sum_out_{0};
};

TEST(ThreadQueue, loops_and_threads_lose_nothing_while_some_are_cancelled) { CrossTraffic().run(); }

}  // namespace
}  // namespace asyncio
