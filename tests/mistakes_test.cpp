// SPDX-License-Identifier: MIT
//
// The beginner's mistakes that a compiler cannot see: what the library says or does about each, as
// docs/mistakes.md promises it. (What a compiler sees is in tests/wrong_programs.)
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

/// What `f` throws, with its type; "nothing".
template <class F>
std::string thrown_by(F f) {
    try {
        f();
    } catch (...) {
        return describe(std::current_exception());
    }
    return "nothing";
}

template <class A>
Coro<std::string> error_of(A awaitable) {
    const auto outcome = co_await as_outcome(std::move(awaitable));
    co_return outcome ? "nothing" : describe(outcome.error());
}

Coro<> step() { co_return; }

TEST(Mistakes, a_coroutine_that_is_kept_and_never_awaited_is_reported_in_debug_mode) {
    const testing::LogLines lines;
    const auto main = []() -> Coro<> {
        auto forgotten = step();
        co_return;
    };
    run(main(), {.debug = true});
    EXPECT_TRUE(lines.contains("was never awaited"));
    EXPECT_TRUE(lines.contains("mistakes_test.cpp"));
}

TEST(Mistakes, awaiting_a_coroutine_twice_throws) {
    testing::run([]() -> Coro<> {
        Coro<> once = step();
        co_await std::move(once);
        const std::string error = co_await error_of(std::move(once));  // asyncio-lint: ok
        EXPECT_EQ(error, "std::logic_error: cannot reuse already awaited coroutine");
    });
}

TEST(Mistakes, blocking_the_loop_is_reported_in_debug_mode) {
    const testing::LogLines lines;
    auto loop = testing::make_virtual_loop();
    loop->set_debug(true);
    loop->run_until_complete([]() -> Coro<> {
        testing::clock_of(get_running_loop()).advance(2s);  // as if it computed for so long
        co_return;
    });
    EXPECT_TRUE(lines.contains("Executing <Task"));
    EXPECT_TRUE(lines.contains("took 2.000 seconds"));
}

TEST(Mistakes, the_loop_used_from_another_thread_throws_in_debug_mode) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        loop.set_debug(true);
        std::string error;
        std::thread([&] { error = thrown_by([&] { loop.call_soon([] {}); }); }).join();
        EXPECT_EQ(error,
                  "std::logic_error: Non-thread-safe operation invoked on an event loop other "
                  "than the current one");
        co_return;
    });
}

TEST(Mistakes, a_lock_for_two_loops_throws_where_it_would_have_to_wait) {
    Lock lock;
    const auto fight = [&]() -> Coro<std::string> {
        Task<bool> waiting = create_task(lock.acquire());
        co_await sleep(1ms);
        std::string error = "waits";
        if (waiting.done()) error = co_await error_of(waiting);
        waiting.cancel();
        (void)co_await as_outcome(waiting);
        co_return error;
    };
    const auto hold_and_fight = [&]() -> Coro<std::string> {
        co_await lock.acquire();
        co_return co_await fight();
    };
    EXPECT_EQ(testing::run(hold_and_fight()), "waits");
    const std::string error = testing::run(fight());
    EXPECT_NE(error.find("bound to a different event loop"), std::string::npos) << error;
}

TEST(Mistakes, a_queue_that_dies_while_it_is_used_is_reported_and_throws) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        auto queue = std::make_unique<Queue<int>>();
        Task<int> consumer = create_task(queue->get());
        co_await sleep(0s);
        queue.reset();
        const std::string error = co_await error_of(consumer);
        EXPECT_EQ(error,
                  "std::logic_error: Queue was destroyed while this task was waiting for it");
        EXPECT_EQ(errors.messages(),
                  std::vector<std::string>{"Queue was destroyed while tasks were waiting for it"});
    });
}

TEST(Mistakes, a_server_whose_handle_is_dropped_goes_on) {
    testing::run([]() -> Coro<> {
        std::uint16_t port = 0;
        {
            const auto hello = [](StreamReader&, StreamWriter& writer) { writer.write("hello"); };
            Server server = co_await start_server(hello, "127.0.0.1", 0);
            port = server.sockets()[0].getsockname().port();
        }
        auto [reader, writer] = co_await open_connection("127.0.0.1", port);
        const std::string text = co_await reader.read();
        EXPECT_EQ(text, "hello");
        writer.close();
    });
}

TEST(Mistakes, catching_std_exception_lets_a_cancellation_through_and_catching_all_does_not) {
    testing::run([]() -> Coro<> {
        const auto careful = []() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (const std::exception&) {
                ADD_FAILURE() << "a CancelledError is no std::exception";
            }
        };
        const auto greedy = []() -> Coro<> {
            try {
                co_await sleep(1h);
            } catch (...) {  // without `throw;`: the request to stop is lost
            }
        };
        Task<> one = create_task(careful());
        Task<> two = create_task(greedy());
        co_await sleep(0s);
        one.cancel();
        two.cancel();
        (void)co_await as_outcome(one);
        co_await two;
        EXPECT_TRUE(one.cancelled());
        EXPECT_FALSE(two.cancelled());
    });
}

TEST(Mistakes, a_task_keeps_a_lambda_and_its_captures) {
    testing::run([]() -> Coro<> {
        Task<std::string> task;
        {
            std::string name = "Ada";
            task = create_task([name]() -> Coro<std::string> {
                co_await sleep(1s);
                co_return "hello, " + name;
            });
        }
        const std::string text = co_await task;
        EXPECT_EQ(text, "hello, Ada");
    });
}

TEST(Mistakes, a_task_given_a_function_and_arguments_keeps_them) {
    testing::run([]() -> Coro<> {
        const auto greet = [](const std::string& name) -> Coro<std::string> {
            co_await sleep(1s);
            co_return "hello, " + name;
        };
        Task<std::string> task = create_task(greet, std::string("Ada"));
        const std::string text = co_await task;
        EXPECT_EQ(text, "hello, Ada");
    });
}

TEST(Mistakes, an_exception_nobody_looks_at_is_reported) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        {
            Task<> lost = create_task([]() -> Coro<> {
                throw std::runtime_error("disk is full");
                co_return;
            });
            co_await sleep(0s);
        }
        EXPECT_EQ(errors.messages(),
                  std::vector<std::string>{"Task exception was never retrieved"});
        EXPECT_EQ(errors.exceptions(),
                  std::vector<std::string>{"std::runtime_error: disk is full"});
    });
}

}  // namespace
}  // namespace asyncio
