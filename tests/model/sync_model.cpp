// SPDX-License-Identifier: MIT
//
// ThreadQueue between threads and loops: sync/thread_queue_core.hpp.
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/sync/queue_core.hpp>
#include <asyncio/sync/thread_queue.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/wait_for.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#include "model.hpp"

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

template <class F>
void run_until_complete(F make) {
    EventLoop loop;
    loop.run_until_complete(make());
    loop.close();
}

// --- threads -------------------------------------------------------------------------------------

MODEL(items_go_from_thread_to_thread) {
    ThreadQueue<int> queue(1);
    std::thread producer([&] {
        queue.put_blocking(1);
        queue.put_blocking(2);
    });
    MODEL_CHECK(queue.get_blocking() == 1);
    MODEL_CHECK(queue.get_blocking() == 2);
    producer.join();
}

MODEL(two_threads_get_two_items) {
    ThreadQueue<int> queue(2);
    int got = 0;
    std::thread consumer([&] { got = queue.get_blocking(); });
    std::thread producer([&] {
        queue.put_nowait(1);
        queue.put_nowait(2);
    });
    const int mine = queue.get_blocking();
    consumer.join();
    producer.join();
    MODEL_CHECK(mine + got == 3);
    MODEL_CHECK(queue.empty());
}

MODEL(a_get_runs_out_of_time) {
    ThreadQueue<int> queue;
    std::thread producer([&] { queue.put_nowait(1); });
    const std::optional<int> item = queue.get_blocking(1ms);
    producer.join();
    MODEL_CHECK(queue.qsize() == (item ? 0u : 1u));
}

MODEL(what_one_leaves_another_gets) {
    ThreadQueue<int> queue;
    std::optional<int> hasty;
    std::thread impatient([&] { hasty = queue.get_blocking(1ms); });
    std::thread producer([&] {
        queue.put_nowait(1);
        queue.put_nowait(2);
    });
    (void)queue.get_blocking();
    impatient.join();
    producer.join();
    MODEL_CHECK(queue.qsize() == (hasty ? 0u : 1u));
}

MODEL(a_shutdown_wakes_who_waits) {
    ThreadQueue<int> queue;
    bool told = false;
    std::thread consumer([&] {
        try {
            (void)queue.get_blocking();
        } catch (const QueueShutDown&) {
            told = true;
        }
    });
    queue.shutdown();
    consumer.join();
    MODEL_CHECK(told);
}

MODEL(a_shutdown_meets_a_put) {
    ThreadQueue<int> queue(1);
    int put = 0;
    std::thread producer([&] {
        try {
            queue.put_blocking(1);
            ++put;
            queue.put_blocking(2);
            ++put;
        } catch (const QueueShutDown&) {
        }
    });
    queue.shutdown();
    producer.join();
    MODEL_CHECK(queue.qsize() == static_cast<std::size_t>(put));
}

MODEL(a_queue_ends_under_a_waiting_thread) {
    auto queue = std::make_unique<ThreadQueue<int>>();
    std::atomic<bool> began{false};
    bool told = false;
    std::thread consumer([&] {
        began = true;
        try {
            (void)queue->get_blocking();
        } catch (const QueueShutDown&) {
            told = true;
        }
    });
    queue->shutdown();
    consumer.join();
    queue = nullptr;
    MODEL_CHECK(told);
}

// --- loops ---------------------------------------------------------------------------------------

MODEL(a_task_gets_what_a_thread_puts) {
    ThreadQueue<int> queue(1);
    std::thread producer([&] { queue.put_blocking(7); });
    run_until_complete([&]() -> Coro<> {
        const int item = co_await queue.get();
        MODEL_CHECK(item == 7);
    });
    producer.join();
}

MODEL(a_task_puts_what_a_thread_gets) {
    ThreadQueue<int> queue(1);
    queue.put_nowait(1);
    std::thread consumer([&] {
        MODEL_CHECK(queue.get_blocking() == 1);
        MODEL_CHECK(queue.get_blocking() == 2);
    });
    run_until_complete([&]() -> Coro<> { co_await queue.put(2); });
    consumer.join();
}

MODEL(a_cancelled_get_loses_no_item) {
    ThreadQueue<int> queue;
    std::thread producer([&] { queue.put_nowait(7); });
    bool got = false;
    run_until_complete([&]() -> Coro<> {
        const auto get = [&]() -> Coro<> {
            (void)co_await queue.get();
            got = true;
        };
        Task<> task = create_task(get());
        co_await sleep(0s);
        task.cancel();
        try {
            co_await task;
        } catch (const CancelledError&) {
        }
    });
    producer.join();
    MODEL_CHECK(queue.qsize() == (got ? 0u : 1u));
}

MODEL(a_cancelled_get_wakes_the_next) {
    ThreadQueue<int> queue;
    std::thread producer([&] { queue.put_nowait(7); });
    int got = 0;
    run_until_complete([&]() -> Coro<> {
        const auto get = [&]() -> Coro<> {
            (void)co_await queue.get();
            ++got;
        };
        Task<> first = create_task(get());
        co_await sleep(0s);
        Task<> second = create_task(get());
        co_await sleep(0s);
        first.cancel();
        co_await sleep(0s);
        if (got == 0) co_await second;
        second.cancel();
        co_await sleep(0s);
    });
    producer.join();
    MODEL_CHECK(got == 1);
    MODEL_CHECK(queue.empty());
}

MODEL(a_loop_closes_under_a_get) {
    ThreadQueue<int> queue;
    std::thread producer([&] { queue.put_nowait(7); });
    bool got = false;
    {
        EventLoop loop;
        const auto get = [&]() -> Coro<> {
            (void)co_await queue.get();
            got = true;
        };
        {
            const Task<> task = loop.create_task(get());
            loop.call_soon([&] { loop.stop(); });
            loop.run_forever();
        }
        loop.close();
    }
    producer.join();
    MODEL_CHECK(queue.qsize() == (got ? 0u : 1u));
}

MODEL(a_shutdown_reaches_a_task) {
    ThreadQueue<int> queue;
    std::thread other([&] { queue.shutdown(); });
    bool told = false;
    run_until_complete([&]() -> Coro<> {
        try {
            (void)co_await queue.get();
        } catch (const QueueShutDown&) {
            told = true;
        }
    });
    other.join();
    MODEL_CHECK(told);
}

MODEL(a_task_and_a_thread_get_two_items) {
    ThreadQueue<int> queue;
    int theirs = 0;
    int mine = 0;
    std::thread consumer([&] { theirs = queue.get_blocking(); });
    std::thread producer([&] {
        queue.put_nowait(1);
        queue.put_nowait(2);
    });
    run_until_complete([&]() -> Coro<> {
        const int item = co_await queue.get();
        mine = item;
    });
    consumer.join();
    producer.join();
    MODEL_CHECK(mine + theirs == 3);
}

MODEL(items_go_from_loop_to_loop) {
    ThreadQueue<int> queue(1);
    std::thread other([&] {
        run_until_complete([&]() -> Coro<> {
            co_await queue.put(1);
            co_await queue.put(2);
        });
    });
    run_until_complete([&]() -> Coro<> {
        const int one = co_await queue.get();
        const int two = co_await queue.get();
        MODEL_CHECK(one == 1 && two == 2);
    });
    other.join();
}

MODEL(a_cancelled_put_keeps_its_item) {
    ThreadQueue<int> queue(1);
    queue.put_nowait(1);
    std::thread consumer([&] { MODEL_CHECK(queue.get_blocking() == 1); });
    bool put = false;
    run_until_complete([&]() -> Coro<> {
        const auto work = [&]() -> Coro<> {
            co_await queue.put(2);
            put = true;
        };
        Task<> task = create_task(work());
        co_await sleep(0s);
        task.cancel();
        try {
            co_await task;
        } catch (const CancelledError&) {
        }
    });
    consumer.join();
    MODEL_CHECK(queue.qsize() == (put ? 1u : 0u));
}

MODEL(a_get_with_a_deadline_in_a_task) {
    ThreadQueue<int> queue;
    std::thread producer([&] { queue.put_nowait(7); });
    bool got = false;
    run_until_complete([&]() -> Coro<> {
        try {
            (void)co_await wait_for(queue.get(), 1ms);
            got = true;
        } catch (const TimeoutError&) {
        }
    });
    producer.join();
    MODEL_CHECK(queue.qsize() == (got ? 0u : 1u));
}

MODEL(a_loop_closes_under_a_put) {
    ThreadQueue<int> queue(1);
    queue.put_nowait(1);
    std::thread consumer([&] { MODEL_CHECK(queue.get_blocking() == 1); });
    bool put = false;
    {
        EventLoop loop;
        const auto work = [&]() -> Coro<> {
            co_await queue.put(2);
            put = true;
        };
        {
            const Task<> task = loop.create_task(work());
            loop.call_soon([&] { loop.stop(); });
            loop.run_forever();
        }
        loop.close();
    }
    consumer.join();
    MODEL_CHECK(queue.qsize() == (put ? 1u : 0u));
}

}  // namespace
