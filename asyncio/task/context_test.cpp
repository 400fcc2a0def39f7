// SPDX-License-Identifier: MIT
//
// Context variables in tasks and callbacks; the variables themselves: base/context_var_test.cpp.
#include <asyncio/base/context_var.hpp>
#include <asyncio/task/future.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <csignal>
#include <thread>

#include <unistd.h>

namespace asyncio {
namespace {

using namespace task_tests;

ContextVar<std::string> request("none");
ContextVar<int> number(0);

Coro<std::string> request_after_setting(std::string value) {
    if (!value.empty()) request.set(value);
    co_await sleep(0s);
    co_return request.get();
}

TEST(Contexts, CTX_01_a_task_gets_a_copy_of_its_creators_context) {
    testing::run([]() -> Coro<> {
        request.set("creator");
        Task<std::string> a = create_task(request_after_setting("a"));
        Task<std::string> b = create_task(request_after_setting(""));
        request.set("later");
        const std::string of_a = co_await a;
        const std::string of_b = co_await b;
        EXPECT_EQ(of_a, "a");
        EXPECT_EQ(of_b, "creator");  // not a sibling's, and not what was set after creation
        EXPECT_EQ(request.get(), "later");
    });
    EXPECT_EQ(request.get(), "none");
}

TEST(Contexts, CTX_01_grandchildren_inherit_and_gathered_coroutines_are_tasks) {
    testing::run([]() -> Coro<> {
        request.set("root");
        const auto nested = []() -> Coro<std::string> {
            Task<std::string> task = create_task(request_after_setting(""));
            co_return co_await task;
        };
        const auto [a, b] = co_await gather(nested(), request_after_setting("b"));
        EXPECT_EQ(a, "root");
        EXPECT_EQ(b, "b");
        EXPECT_EQ(request.get(), "root");
    });
}

TEST(Contexts, CTX_02_an_awaited_coroutine_shares_its_callers_context) {
    testing::run([]() -> Coro<> {
        const std::string inside = co_await request_after_setting("set inside");
        EXPECT_EQ(inside, "set inside");
        EXPECT_EQ(request.get(), "set inside");
    });
}

TEST(Contexts, CTX_03_tasks_given_one_context_share_changes) {
    testing::run([]() -> Coro<> {
        const Context shared = copy_context();
        const auto count = []() -> Coro<> {
            for (int i = 0; i < 3; ++i) {
                number.set(number.get() + 1);
                co_await sleep(0s);
            }
        };
        Task<> a = create_task(count(), {.context = shared});
        Task<> b = create_task(count, {.name = "b", .context = shared});
        Task<> c = get_running_loop().create_task(count(), {.context = copy_context()});
        co_await gather(a, b, c);
        EXPECT_EQ(shared.get(number), 6);
        EXPECT_EQ(number.get(), 0);
        EXPECT_TRUE(a.get_context() == shared);
        EXPECT_EQ(c.get_context().get(number), 3);
    });
}

TEST(Contexts, CTX_03_the_context_of_a_running_task_can_be_had_and_used) {
    testing::run([]() -> Coro<> {
        number.set(1);
        auto token = request.set("before");
        const Context own = current_task().get_context();
        EXPECT_EQ(own.get(number), 1);
        own.run([] { number.set(2); });
        EXPECT_EQ(number.get(), 2);
        request.reset(token);  // of the same context, though it was shared meanwhile
        Task<> helper = create_task(
            []() -> Coro<> {
                number.set(3);
                co_return;
            },
            {.context = own});
        co_await helper;
        EXPECT_EQ(number.get(), 3);
    });
}

TEST(Contexts, CTX_04_callbacks_see_the_values_of_when_they_were_scheduled) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Events seen;
        const auto note = [&seen](std::string where) {
            seen.push_back(where + " " + request.get());
            request.set("changed by " + where);
        };
        const Context given;
        given.run([] { request.set("given"); });
        request.set("then");
        loop.call_soon(note, "soon");
        loop.call_soon(given, note, "soon given");
        loop.call_later(1s, note, "later");
        loop.call_later(1s, given, note, "later given");
        loop.call_at(loop.time() + 2s, note, "at");
        loop.call_soon_threadsafe(note, "threadsafe");
        loop.call_soon_threadsafe(given, note, "threadsafe given");
        request.set("now");
        co_await sleep(3s);
        EXPECT_EQ(seen, (Events{"soon then", "soon given given", "threadsafe then",
                                "threadsafe given changed by soon given", "later then",
                                "later given changed by threadsafe given", "at then"}));
        EXPECT_EQ(request.get(), "now");
    });
}

TEST(Contexts, CTX_04_a_done_callback_sees_the_values_of_its_registration) {
    testing::run([]() -> Coro<> {
        Events seen;
        const Context given;
        given.run([] { request.set("given"); });
        Future<int> future;
        Task<> task = create_task(return_at_once());
        const auto note = [&](const auto&) { seen.push_back(request.get()); };
        request.set("first");
        future.add_done_callback(note);
        task.add_done_callback(note);
        request.set("second");
        future.add_done_callback(note);
        future.add_done_callback(note, given);
        request.set("third");
        future.set_result(1);
        future.add_done_callback(note);
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_EQ(seen, (Events{"first", "second", "given", "third", "first"}));
    });
}

TEST(Contexts, CTX_04_a_handle_knows_its_context) {
    testing::run([]() -> Coro<> {
        number.set(1);
        const Handle handle = get_running_loop().call_soon([] { number.set(number.get() + 1); });
        const Context context = handle.get_context();
        EXPECT_EQ(context.get(number), 1);
        co_await sleep(0s);
        EXPECT_EQ(context.get(number), 2);
        EXPECT_EQ(number.get(), 1);
    });
}

TEST(Contexts, CTX_04_a_post_of_another_thread_carries_that_threads_context) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Future<std::string> seen;
        std::thread other([&] {
            request.set("other thread");
            loop.call_soon_threadsafe([&] { seen.set_result(request.get()); });
            request.set("gone");
        });
        other.join();
        const std::string value = co_await seen;
        EXPECT_EQ(value, "other thread");
        EXPECT_EQ(request.get(), "none");
    });
}

TEST(Contexts, CTX_04_descriptor_callbacks_share_the_context_of_their_registration) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        int ends[2];
        EXPECT_EQ(::pipe(ends), 0);
        Future<> twice;
        number.set(1);
        loop.add_reader(ends[0], [&] {
            number.set(number.get() + 1);
            if (number.get() == 3 && !twice.done()) twice.set_result();
        });
        number.set(10);
        EXPECT_EQ(::write(ends[1], "x", 1), 1);
        co_await twice;
        loop.remove_reader(ends[0]);
        EXPECT_EQ(number.get(), 10);
        ::close(ends[0]);
        ::close(ends[1]);
    });
}

TEST(Contexts, CTX_04_signal_handlers_too) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Events seen;
        request.set("registration");
        loop.add_signal_handler(SIGUSR1, [&] { seen.push_back(request.get()); });
        request.set("now");
        ::raise(SIGUSR1);
        co_await sleep(1s);
        loop.remove_signal_handler(SIGUSR1);
        EXPECT_EQ(seen, Events{"registration"});
    });
}

TEST(Contexts, CTX_05_values_survive_suspension_and_are_per_task) {
    testing::run([]() -> Coro<> {
        const auto work = [](int id) -> Coro<int> {
            number.set(id);
            int wrong = 0;
            for (int i = 0; i < 20; ++i) {
                co_await sleep(std::chrono::milliseconds((id * 7 + i * 13) % 5));
                if (number.get() != id + i) ++wrong;
                number.set(id + i + 1);
            }
            co_return wrong;
        };
        std::vector<Coro<int>> all;
        for (int i = 0; i < 100; ++i) all.push_back(work(i * 1000));
        const std::vector<int> wrong = co_await gather(std::move(all));
        for (const int w : wrong) EXPECT_EQ(w, 0);
        EXPECT_EQ(number.get(), 0);
    });
}

TEST(Contexts, a_scope_in_a_cancelled_or_destroyed_task_is_left_in_its_context) {
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    Context destroyed;
    loop->run_until_complete([&]() -> Coro<> {
        request.set("main");
        const auto hold = []() -> Coro<> {
            auto scope = request.scoped("held");
            co_await forever();
        };
        Task<> cancelled = create_task(hold);
        (void)create_task(hold, {.context = destroyed});
        co_await sleep(0s);
        EXPECT_EQ(destroyed.get(request), "held");
        const Context context = cancelled.get_context();
        EXPECT_EQ(context.get(request), "held");
        cancelled.cancel();
        co_await sleep(0s);
        EXPECT_EQ(context.get(request), "main");
        EXPECT_EQ(request.get(), "main");
    });
    loop->close();
    EXPECT_EQ(destroyed.get(request), std::nullopt);
    EXPECT_EQ(errors.messages().size(), 1u);
}

// --- the exception handler, run()
// -----------------------------------------------------------------

TEST(Contexts, EXC_06_the_exception_handler_runs_in_the_context_of_what_it_is_about) {
    testing::run([]() -> Coro<> {
        Events seen;
        EventLoop& loop = get_running_loop();
        loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
            seen.push_back(context.message + ": " + request.get());
        });
        request.set("handle");
        loop.call_soon([] { throw std::runtime_error("x"); });
        request.set("task");
        (void)create_task(fail_at_once("y"));
        request.set("other");
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_EQ(seen, (Events{"Exception in callback: handle",
                                "Task exception was never retrieved: task"}));
        loop.set_exception_handler(nullptr);
    });
}

TEST(Contexts, EXC_06_also_for_tasks_that_the_loop_or_run_ends) {
    Events seen;
    const auto note = [&](EventLoop&, const ExceptionContext& context) {
        seen.push_back(context.message + ": " + request.get());
    };
    {
        Runner runner({.loop_factory = [] { return testing::make_virtual_loop(); }});
        runner.get_loop().set_exception_handler(note);
        runner.run([]() -> Coro<> {
            request.set("failing");
            (void)create_task([]() -> Coro<> {
                try {
                    co_await forever();
                } catch (const CancelledError&) {
                    throw std::runtime_error("x");
                }
            });
            request.set("other");
            co_await sleep(0s);
        });
    }
    auto loop = testing::make_virtual_loop();
    loop->set_exception_handler(note);
    loop->run_until_complete([]() -> Coro<> {
        request.set("pending");
        (void)create_task(forever());
        co_return;
    });
    loop->close();
    EXPECT_EQ(seen, (Events{"unhandled exception during asyncio.run() shutdown: failing",
                            "Task was destroyed but it is pending!: pending"}));
}

TEST(Contexts, RUN_15_runs_of_one_runner_share_a_context) {
    Runner runner({.loop_factory = [] { return testing::make_virtual_loop(); }});
    const auto increment = []() -> Coro<int> {
        number.set(number.get() + 1);
        co_return number.get();
    };
    const Context given;
    Context().run([&] {
        number.set(10);
        EXPECT_EQ(runner.run(increment()), 11);
        EXPECT_EQ(runner.run(increment), 12);
        EXPECT_EQ(runner.run(increment(), given), 1);
        EXPECT_EQ(runner.run(increment()), 13);
        EXPECT_EQ(number.get(), 10);
    });
    EXPECT_EQ(given.get(number), 1);
}

TEST(Contexts, a_run_starts_with_what_the_thread_has_set) {
    auto token = request.set("thread");
    testing::run([]() -> Coro<> {
        EXPECT_EQ(request.get(), "thread");
        request.set("inside");
        co_return;
    });
    EXPECT_EQ(request.get(), "thread");
    request.reset(token);
}

}  // namespace
}  // namespace asyncio
