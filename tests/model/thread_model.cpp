// SPDX-License-Identifier: MIT
//
// Results and work that go from thread to thread: thread/.
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/thread/run_coroutine_threadsafe.hpp>
#include <asyncio/thread/run_in_executor.hpp>
#include <asyncio/thread/serve_on_cores.hpp>
#include <asyncio/thread/thread_pool_executor.hpp>
#include <asyncio/thread/to_thread.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "model.hpp"

using namespace asyncio;
using namespace std::chrono_literals;
using thread::ConcurrentState;

namespace {

// --- one result ----------------------------------------------------------------------------------

MODEL(a_result_is_waited_for) {
    const auto state = std::make_shared<ConcurrentState<int>>();
    MODEL_CHECK(state->start());
    std::thread worker([state = state]() mutable {
        state->complete_with(Outcome<int>(7));
        state = nullptr;
    });
    const ConcurrentFuture<int> future(state);
    MODEL_CHECK(future.result() == 7);
    worker.join();
}

MODEL(a_result_is_dropped_by_who_waited_first) {
    auto state = std::make_shared<ConcurrentState<int>>();
    MODEL_CHECK(state->start());
    std::thread worker([state = state]() mutable {
        state->complete_with(Outcome<int>(7));
        state = nullptr;
    });
    MODEL_CHECK(ConcurrentFuture<int>(std::move(state)).result() == 7);
    worker.join();
}

MODEL(a_result_meets_its_cancellation) {
    const auto state = std::make_shared<ConcurrentState<int>>();
    int callbacks = 0;
    state->add_done_callback([&] { ++callbacks; });
    bool started = false;
    std::thread worker([&] {
        started = state->start();
        if (started) state->complete_with(Outcome<int>(7));
    });
    const bool cancelled = state->cancel();
    state->wait();
    worker.join();
    MODEL_CHECK(cancelled != started);
    MODEL_CHECK(callbacks == 1);
}

MODEL(a_callback_is_added_while_the_result_comes) {
    const auto state = std::make_shared<ConcurrentState<int>>();
    MODEL_CHECK(state->start());
    std::thread worker([&] { state->complete_with(Outcome<int>(7)); });
    int called = 0;
    state->add_done_callback([&] {
        MODEL_CHECK(state->outcome().value() == 7);
        ++called;
    });
    worker.join();
    MODEL_CHECK(called == 1);
}

MODEL(a_result_comes_as_the_time_is_up) {
    const auto state = std::make_shared<ConcurrentState<int>>();
    MODEL_CHECK(state->start());
    std::thread worker([&] { state->complete_with(Outcome<int>(7)); });
    if (state->wait(1ms)) MODEL_CHECK(state->outcome().value() == 7);
    worker.join();
    MODEL_CHECK(state->wait(1ms));
}

MODEL(a_result_is_polled_for) {
    const auto state = std::make_shared<ConcurrentState<int>>();
    MODEL_CHECK(state->start());
    std::thread worker([&] { state->complete_with(Outcome<int>(7)); });
    while (!state->done()) std::this_thread::yield();
    MODEL_CHECK(state->outcome().value() == 7);
    worker.join();
}

MODEL(two_wait_for_a_result) {
    const auto state = std::make_shared<ConcurrentState<int>>();
    MODEL_CHECK(state->start());
    std::thread other([&] {
        state->wait();
        MODEL_CHECK(state->outcome().value() == 7);
    });
    std::thread worker([&] { state->complete_with(Outcome<int>(7)); });
    state->wait();
    MODEL_CHECK(state->outcome().value() == 7);
    other.join();
    worker.join();
}

// --- a coroutine in another thread's loop --------------------------------------------------------

Coro<int> seven() {
    co_await sleep(0s);
    co_return 7;
}

MODEL(run_coroutine_threadsafe_gives_the_result) {
    EventLoop loop;
    std::thread other([&] {
        MODEL_CHECK(run_coroutine_threadsafe(seven(), loop).result() == 7);
        loop.call_soon_threadsafe([&] { loop.stop(); });
    });
    loop.run_forever();
    other.join();
    loop.close();
}

MODEL(run_coroutine_threadsafe_is_cancelled) {
    EventLoop loop;
    std::thread other([&] {
        ConcurrentFuture<int> future = run_coroutine_threadsafe(seven(), loop);
        const bool cancelled = future.cancel();
        future.wait();
        MODEL_CHECK(future.cancelled() == cancelled);
        loop.call_soon_threadsafe([&] { loop.stop(); });
    });
    loop.run_forever();
    other.join();
    loop.close();
}

MODEL(run_coroutine_threadsafe_meets_the_end_of_the_loop) {
    auto loop = std::make_unique<EventLoop>();
    std::optional<ConcurrentFuture<int>> future;
    future = run_coroutine_threadsafe(seven(), *loop);
    std::thread other([&] {
        future->wait();
        MODEL_CHECK(future->done());
        future = std::nullopt;
    });
    loop->call_soon([&] { loop->stop(); });
    loop->run_forever();
    loop->close();
    loop = nullptr;
    other.join();
}

/// A loop in a thread of its own, until stop().
class LoopThread {
  public:
    LoopThread() : thread_([this] { loop.run_forever(); }) {}
    ~LoopThread() {
        loop.call_soon_threadsafe([this] { loop.stop(); });
        thread_.join();
        loop.close();
    }
    EventLoop loop;

  private:
    std::thread thread_;
};

template <class F>
void run_until_complete(F make) {
    EventLoop loop;
    loop.run_until_complete(make());
    loop.close();
}

MODEL(a_task_of_another_loop_is_awaited) {
    LoopThread other;
    run_until_complete([&]() -> Coro<> {
        const int n = co_await run_coroutine_threadsafe(seven(), other.loop);
        MODEL_CHECK(n == 7);
    });
}

MODEL(awaiting_a_task_of_another_loop_is_cancelled) {
    LoopThread other;
    run_until_complete([&]() -> Coro<> {
        const auto await = [&]() -> Coro<int> {
            const int n = co_await run_coroutine_threadsafe(seven(), other.loop);
            co_return n;
        };
        Task<int> task = create_task(await());
        co_await sleep(0s);
        task.cancel();
        bool cancelled = false;
        try {
            co_await task;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        MODEL_CHECK(cancelled);
    });
}

MODEL(a_task_seen_from_outside_is_cancelled) {
    std::optional<std::thread> other;
    run_until_complete([&]() -> Coro<> {
        Task<int> task = create_task(seven());
        bool cancelled = false;
        other.emplace([&cancelled, view = threadsafe<int>(task)] { cancelled = view.cancel(); });
        bool caught = false;
        try {
            co_await task;
        } catch (const CancelledError&) {
            caught = true;
        }
        other->join();
        MODEL_CHECK(!caught || cancelled);
    });
}

MODEL(a_task_of_a_loop_that_ends_is_awaited) {
    auto other = std::make_unique<EventLoop>();
    other->call_soon([loop = other.get()] { loop->stop(); });
    std::optional<ConcurrentFuture<>> future;
    future = run_coroutine_threadsafe(sleep(1h), *other);
    std::thread thread([&] {
        other->run_forever();
        other->close();
        other = nullptr;
    });
    run_until_complete([&]() -> Coro<> {
        bool caught = false;
        try {
            co_await *future;
        } catch (const CancelledError&) {
            caught = true;
        }
        MODEL_CHECK(caught);
    });
    thread.join();
}

MODEL(a_loop_goes_from_thread_to_thread) {
    EventLoop loop;
    int ran = 0;
    loop.call_soon([&] { ++ran; });
    std::thread other([&] { loop.run_until_complete(seven()); });
    other.join();
    loop.run_until_complete(seven());
    MODEL_CHECK(ran == 1);
    loop.close();
}

MODEL(two_loops_make_tasks) {
    std::string names[2];
    const auto make = [&](std::string& name) {
        EventLoop loop;
        {
            const Task<int> task = loop.create_task(seven());
            name = task.get_name();
            MODEL_CHECK(loop.run_until_complete(task) == 7);
        }
        loop.close();
    };
    std::thread other([&] { make(names[1]); });
    make(names[0]);
    other.join();
    MODEL_CHECK(names[0] != names[1]);
}

MODEL(two_threads_take_an_error) {
    const auto state = std::make_shared<ConcurrentState<int>>();
    MODEL_CHECK(state->start());
    const auto take = [state] {
        try {
            (void)ConcurrentFuture<int>(state).result();
            model::fail("no error");
        } catch (const std::runtime_error& error) {
            MODEL_CHECK(error.what()[0] == 'f');
        }
    };
    std::thread one(take);
    state->complete_with(Outcome<int>(std::make_exception_ptr(std::runtime_error("from there"))));
    take();
    one.join();
}

// --- executors -----------------------------------------------------------------------------------

MODEL(a_pool_runs_and_is_shut_down) {
    ThreadPoolExecutor pool(1);
    ConcurrentFuture<int> future = pool.submit([] { return 7; });
    pool.shutdown();
    MODEL_CHECK(future.done() && future.result() == 7);
}

MODEL(a_pool_of_two_runs_two) {
    ThreadPoolExecutor pool(2);
    ConcurrentFuture<int> one = pool.submit([] { return 1; });
    ConcurrentFuture<int> two = pool.submit([] { return 2; });
    MODEL_CHECK(one.result() == 1);
    MODEL_CHECK(two.result() == 2);
    pool.shutdown();
}

MODEL(a_pool_thread_takes_a_second_job) {
    ThreadPoolExecutor pool(1);
    MODEL_CHECK(pool.submit([] { return 1; }).result() == 1);
    MODEL_CHECK(pool.submit([] { return 2; }).result() == 2);
    pool.shutdown();
}

MODEL(a_job_is_submitted_while_the_pool_is_shut_down) {
    auto pool = std::make_shared<ThreadPoolExecutor>(1);
    std::thread other([pool] {
        try {
            ConcurrentFuture<int> future = pool->submit([] { return 7; });
            MODEL_CHECK(future.result() == 7);
        } catch (const std::logic_error&) {
        }
    });
    pool->shutdown(false);
    pool->finished().wait();
    other.join();
}

MODEL(a_pool_is_shut_down_and_drops_what_waits) {
    ThreadPoolExecutor pool(1);
    ConcurrentFuture<int> one = pool.submit([] { return 1; });
    ConcurrentFuture<int> two = pool.submit([] { return 2; });
    pool.shutdown(true, true);
    MODEL_CHECK(one.done() && two.done());
    MODEL_CHECK(!one.cancelled() || two.cancelled());
}

MODEL(a_job_meets_its_cancellation) {
    ThreadPoolExecutor pool(1);
    int ran = 0;
    ConcurrentFuture<> future = pool.submit([&] { ++ran; });
    const bool cancelled = future.cancel();
    pool.shutdown();
    MODEL_CHECK(future.done());
    MODEL_CHECK(ran == (cancelled ? 0 : 1));
}

MODEL(two_threads_submit, .preemptions = 1) {
    ThreadPoolExecutor pool(2);
    std::thread other([&] { MODEL_CHECK(pool.submit([] { return 1; }).result() == 1); });
    MODEL_CHECK(pool.submit([] { return 2; }).result() == 2);
    other.join();
    pool.shutdown();
}

MODEL(a_job_waits_for_a_later_one, .preemptions = 1) {
    ThreadPoolExecutor pool(2);
    const auto state = std::make_shared<ConcurrentState<int>>();
    MODEL_CHECK(pool.submit([] { return 1; }).result() == 1);
    ConcurrentFuture<> one = pool.submit([&] { state->wait(); });
    ConcurrentFuture<> two = pool.submit([&] { state->complete_with(Outcome<int>(7)); });
    one.result();
    two.result();
    pool.shutdown();
}

MODEL(two_threads_shut_a_pool_down) {
    ThreadPoolExecutor pool(1);
    ConcurrentFuture<int> future = pool.submit([] { return 7; });
    std::thread other([&] {
        pool.shutdown();
        MODEL_CHECK(future.done());
    });
    pool.shutdown();
    MODEL_CHECK(future.done());
    other.join();
}

MODEL(a_pool_is_left_to_itself) {
    std::optional<ConcurrentFuture<int>> future;
    {
        ThreadPoolExecutor pool(1);
        future = pool.submit([] { return 7; });
        pool.shutdown(false);
    }
    MODEL_CHECK(future->result() == 7);
}

// --- to_thread -----------------------------------------------------------------------------------

MODEL(to_thread_gives_the_result) {
    run_until_complete([]() -> Coro<> {
        get_running_loop().set_default_executor(std::make_shared<ThreadPoolExecutor>(1));
        const int n = co_await to_thread([] { return 7; });
        MODEL_CHECK(n == 7);
        co_await get_running_loop().shutdown_default_executor();
    });
}

MODEL(to_thread_is_cancelled) {
    run_until_complete([]() -> Coro<> {
        get_running_loop().set_default_executor(std::make_shared<ThreadPoolExecutor>(1));
        Task<int> task = create_task(to_thread([] { return 7; }));
        co_await sleep(0s);
        task.cancel();
        bool cancelled = false;
        try {
            co_await task;
        } catch (const CancelledError&) {
            cancelled = true;
        }
        MODEL_CHECK(cancelled);
        co_await get_running_loop().shutdown_default_executor();
    });
}

MODEL(a_loop_closes_under_to_thread) {
    EventLoop loop;
    loop.set_default_executor(std::make_shared<ThreadPoolExecutor>(1));
    {
        const Task<int> task = loop.create_task(to_thread([] { return 7; }));
        loop.call_soon([&] { loop.stop(); });
        loop.run_forever();
    }
    loop.close();
}

MODEL(an_error_comes_from_a_thread) {
    run_until_complete([]() -> Coro<> {
        ThreadPoolExecutor pool(1);
        bool caught = false;
        try {
            co_await pool.submit([] { throw std::runtime_error("from there"); });
        } catch (const std::runtime_error&) {
            caught = true;
        }
        MODEL_CHECK(caught);
        pool.shutdown();
    });
}

// --- several loops -------------------------------------------------------------------------------

MODEL(serve_on_cores_ends_when_all_have, .preemptions = 1) {
    serve_on_cores(2, []() -> Coro<> { co_await sleep(0s); });
}

MODEL(an_error_in_one_loop_stops_the_other, .preemptions = 1) {
    bool caught = false;
    try {
        serve_on_cores(2, [](int number) -> Coro<> {
            if (number == 0) throw std::runtime_error("from there");
            co_await sleep(1h);
        });
    } catch (const std::runtime_error&) {
        caught = true;
    }
    MODEL_CHECK(caught);
}

MODEL(sigterm_stops_the_loops, .preemptions = 1) {
    std::thread other([] { ::raise(SIGTERM); });
    serve_on_cores(1, []() -> Coro<> { co_await sleep(1h); });
    other.join();
}

}  // namespace
