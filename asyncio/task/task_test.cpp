// SPDX-License-Identifier: MIT
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/wait_for.hpp>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

Coro<> note(Events& events, std::string text) {
    events.push_back(std::move(text));
    co_return;
}

// --- starting -------------------------------------------------------------------------------

TEST(Task, TASK_01_the_body_starts_in_the_next_iteration) {
    Events events;
    testing::run([&]() -> Coro<> {
        Task<> t = create_task(note(events, "body"));
        events.push_back("created");
        Iterations iterations;
        co_await t;
        EXPECT_EQ(iterations.count(), 1);  // the counter came after the task
    });
    EXPECT_EQ(events, (Events{"created", "body"}));
}

TEST(Task, TASK_02_tasks_start_in_the_order_of_creation) {
    Events events;
    testing::run([&]() -> Coro<> {
        std::vector<Task<>> tasks;
        for (int i = 0; i < 5; ++i) tasks.push_back(create_task(note(events, std::to_string(i))));
        co_await sleep(0s);
    });
    EXPECT_EQ(events, (Events{"0", "1", "2", "3", "4"}));
}

TEST(Task, TASK_03_awaiting_a_task_gives_its_result_or_throws) {
    testing::run([]() -> Coro<> {
        const int v = co_await create_task(at_once(7));
        EXPECT_EQ(v, 7);
        const std::unique_ptr<int> p = co_await create_task(
            []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(8); });
        EXPECT_EQ(*p, 8);
        co_await create_task(return_at_once());
        const auto failed = co_await as_outcome(create_task(fail_at_once("no")));
        EXPECT_EQ(error_of(failed), "std::runtime_error: no");
    });
}

TEST(Task, TASK_04_awaiting_plain_coroutines_does_not_yield) {
    Events events;
    testing::run([&]() -> Coro<> {
        Task<> other = create_task(note(events, "other"));
        for (int i = 0; i < 100; ++i) co_await return_at_once();
        const int v = co_await at_once(1);
        EXPECT_EQ(v, 1);
        EXPECT_TRUE(events.empty());
        co_await other;
    });
    EXPECT_EQ(events, (Events{"other"}));
}

TEST(Task, TASK_05_needs_a_running_loop_and_does_not_consume_the_coroutine) {
    Coro<int> coro = at_once(1);
    EXPECT_THROW((void)create_task(std::move(coro)), std::logic_error);
    EXPECT_TRUE(coro.valid());  // asyncio-lint: ok
    EXPECT_EQ(testing::run(std::move(coro)), 1);
}

template <class A>
concept CanBecomeTask = requires(A a) { create_task(std::move(a)); };

TEST(Task, TASK_05_only_awaitables_and_functions_that_return_them_can_become_tasks) {
    static_assert(CanBecomeTask<Coro<int>>);
    static_assert(CanBecomeTask<Future<int>>);
    // Anything else: tests/wrong_programs.
}

TEST(Task, TASK_06_every_awaiter_gets_the_stored_exception) {
    testing::run([]() -> Coro<> {
        Task<int> t = create_task(fail_at_once("stored"));
        for (int i = 0; i < 3; ++i) {
            const auto outcome = co_await as_outcome(t);
            EXPECT_EQ(error_of(outcome), "std::runtime_error: stored");
        }
        EXPECT_THROW(t.result(), std::runtime_error);
        EXPECT_NE(t.exception(), nullptr);
    });
}

TEST(Task, TASK_06_several_tasks_can_await_one) {
    testing::run([]() -> Coro<> {
        Task<std::string> shared = create_task(later(std::string("x"), 1s));
        const auto waiter = [&]() -> Coro<std::string> {
            std::string v = co_await shared;
            co_return v;
        };
        const auto [a, b] = co_await gather(waiter(), waiter());
        EXPECT_EQ(a + b, "xx");
    });
}

TEST(Task, callable_and_arguments_live_as_long_as_the_task) {
    const auto work = [](std::string a, std::unique_ptr<int> b) -> Coro<std::string> {
        co_await sleep(1s);
        co_return a + std::to_string(*b);
    };
    testing::run([&]() -> Coro<> {
        struct Worker {
            Coro<int> run(int x) { co_return x + base; }
            int base;
        };
        Worker worker{40};
        const int v = co_await create_task(&Worker::run, &worker, 2);
        EXPECT_EQ(v, 42);
        Task<std::string> t = create_task(work, std::string("a"), std::make_unique<int>(5));
        Task<std::string> u = create_task([s = std::string(100, 'x')]() -> Coro<std::string> {
            co_await sleep(1s);
            co_return s;
        });
        const std::string first = co_await t;
        const std::string second = co_await u;
        EXPECT_EQ(first, "a5");
        EXPECT_EQ(second, std::string(100, 'x'));
    });
}

TEST(Task, a_function_can_be_given_options_too) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task([]() -> Coro<> { co_return; }, {.name = "named"});
        EXPECT_EQ(t.get_name(), "named");
        co_await t;
    });
}

TEST(Task, TASK_17_other_awaitables_are_wrapped) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<int> t = create_task(f);
        f.set_result(3);
        const int v = co_await t;
        EXPECT_EQ(v, 3);
        co_await create_task(sleep(1s));
    });
}

// --- names ----------------------------------------------------------------------------------

TEST(Task, TASK_07_names_are_unique_increase_and_can_be_set) {
    testing::run([]() -> Coro<> {
        Task<> a = create_task(return_at_once());
        Task<> b = create_task(return_at_once(), {.name = "mine"});
        Task<> c = create_task(return_at_once());
        EXPECT_TRUE(a.get_name().starts_with("Task-"));
        EXPECT_LT(std::stoul(a.get_name().substr(5)), std::stoul(c.get_name().substr(5)));
        EXPECT_EQ(b.get_name(), "mine");
        b.set_name("other");
        EXPECT_EQ(b.get_name(), "other");
        co_await gather(a, b, c);
    });
}

TEST(Task, TASK_07_names_are_unique_across_threads) {
    const auto names = [] {
        std::set<std::string> found;
        testing::run([&]() -> Coro<> {
            for (int i = 0; i < 3000; ++i) {
                Task<> t = create_task(return_at_once());
                found.insert(t.get_name());
                co_await t;
            }
        });
        return found;
    };
    std::set<std::string> others;
    std::thread thread([&] { others = names(); });
    std::set<std::string> all = names();
    thread.join();
    all.merge(others);
    EXPECT_EQ(all.size(), 6000u);
}

template <class TaskType>
concept CanBeCompleted = requires(TaskType t) { t.set_result(1); } ||
                         requires(TaskType t) { t.set_exception(std::exception_ptr()); };
TEST(Task, TASK_08_a_task_cannot_be_completed_from_outside) {
    static_assert(!CanBeCompleted<Task<int>>);
    static_assert(CanBeCompleted<Future<int>>);
}

// --- who runs -------------------------------------------------------------------------------

TEST(Task, TASK_10_current_task_is_the_one_that_runs) {
    testing::run([]() -> Coro<> {
        const AnyTask self = current_task();
        EXPECT_TRUE(self.valid());
        const auto check = []() -> Coro<> {
            const AnyTask me = current_task();
            for (int i = 0; i < 5; ++i) {
                co_await sleep(0s);
                EXPECT_EQ(current_task(), me);
            }
        };
        Task<> a = create_task(check());
        Task<> b = create_task(check());
        EXPECT_FALSE(a == self);
        co_await gather(a, b);
        EXPECT_EQ(current_task(), self);
        bool none = false;
        get_running_loop().call_soon([&] { none = !current_task().valid(); });
        co_await sleep(0s);
        EXPECT_TRUE(none);
    });
}

TEST(Task, TASK_11_current_task_needs_a_running_loop) {
    EXPECT_THROW(current_task(), std::logic_error);
    EXPECT_THROW(all_tasks(), std::logic_error);
}

TEST(Task, TASK_12_all_tasks_is_a_snapshot_of_what_is_not_done) {
    testing::run([]() -> Coro<> {
        EXPECT_EQ(all_tasks().size(), 1u);
        Task<> quick = create_task(return_at_once());
        Task<> slow = create_task(forever());
        std::vector<AnyTask> before = all_tasks();
        EXPECT_EQ(before.size(), 3u);
        EXPECT_EQ(before[0], current_task());
        co_await quick;
        EXPECT_EQ(before.size(), 3u);
        const std::vector<AnyTask> now = all_tasks();
        EXPECT_EQ(now.size(), 2u);
        EXPECT_EQ(now[1], AnyTask(slow));
        const auto other = testing::make_virtual_loop();
        EXPECT_TRUE(all_tasks(*other).empty());
        other->close();
    });
}

// --- misuse ---------------------------------------------------------------------------------

TEST(Task, TASK_13_awaiting_oneself_is_an_error) {
    testing::run([]() -> Coro<> {
        Task<> t;
        const auto body = [&]() -> Coro<> { co_await t; };
        t = create_task(body());
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "std::logic_error: Task cannot await on itself");
    });
}

TEST(Task, TASK_14_awaiting_a_future_of_another_loop_is_an_error) {
    const auto other = testing::make_virtual_loop();
    Future<int> foreign = other->create_future<int>();
    testing::run([&]() -> Coro<> {
        const auto outcome = co_await as_outcome(foreign);
        EXPECT_NE(error_of(outcome).find("attached to a different loop"), std::string::npos);
        EXPECT_FALSE(foreign.done());
    });
    other->close();
}

TEST(Task, TASK_15_a_task_may_return_a_future_as_its_value) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Task<Future<int>> t = create_task(at_once(f));
        const Future<int> got = co_await t;
        EXPECT_EQ(got, f);
        EXPECT_FALSE(got.done());
    });
}

TEST(Task, TASK_19_the_description_tells_state_name_and_what_it_waits_for) {
    testing::run([]() -> Coro<> {
        Task<> t = create_task(forever(), {.name = "sleeper"});
        EXPECT_NE(t.core().description().find("pending"), std::string::npos);
        co_await sleep(0s);
        EXPECT_NE(t.core().description().find("wait_for=sleep"), std::string::npos);
        EXPECT_NE(t.core().description().find("name='sleeper'"), std::string::npos);
        EXPECT_NE(t.core().description().find("task_test.cpp"), std::string::npos);
        t.cancel();
        EXPECT_NE(t.core().description().find("cancelling"), std::string::npos);
        (void)co_await as_outcome(t);
        EXPECT_NE(t.core().description().find("cancelled"), std::string::npos);
    });
}

TEST(Task, TASK_22_a_coroutine_never_awaited_is_named_in_debug_mode) {
    for (const bool debug : {true, false}) {
        const testing::LogLines lines;
        testing::run([debug]() -> Coro<> {
            get_running_loop().set_debug(debug);
            {
                Coro<> forgotten = forever();
            }
            {
                Coro<> moved = forever();
                Coro<> target = std::move(moved);
                co_await create_task(return_at_once());
            }
            co_return;
        });
        EXPECT_EQ(lines.contains("forever"), debug);
        EXPECT_EQ(lines.contains("was never awaited"), debug);
        EXPECT_EQ(lines.size(), debug ? 2u : 0u);
    }
}

TEST(Task, TASK_22_what_was_awaited_or_cancelled_is_not_reported) {
    const testing::LogLines lines;
    testing::run([]() -> Coro<> {
        get_running_loop().set_debug(true);
        Task<> t = create_task(forever());
        t.cancel();
        (void)co_await as_outcome(t);
        (void)co_await as_outcome(wait_for(forever(), 0s));
    });
    EXPECT_EQ(lines.size(), 0u);
}

// --- lifetime -------------------------------------------------------------------------------

TEST(TaskLifetime, a_dropped_handle_detaches) {
    Events events;
    testing::run([&]() -> Coro<> {
        {
            const auto body = [](Events& e) -> Coro<> {
                co_await sleep(1s);
                e.push_back("finished");
            };
            Task<> dropped = create_task(body, std::ref(events));
        }
        co_await sleep(2s);
        EXPECT_EQ(all_tasks().size(), 1u);
    });
    EXPECT_EQ(events, (Events{"finished"}));
}

TEST(TaskLifetime, an_exception_nobody_took_is_reported_as_the_tasks) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        {
            Task<int> dropped = create_task(fail_at_once("lost"), {.name = "loser"});
        }
        co_await turns(3);
        EXPECT_EQ(errors.messages(), (Events{"Task exception was never retrieved"}));
        EXPECT_EQ(errors.exceptions(), (Events{"std::runtime_error: lost"}));
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(TaskLifetime, parameters_die_when_the_coroutine_ends) {
    testing::run([]() -> Coro<> {
        auto token = std::make_shared<int>(1);
        const std::weak_ptr<int> watch = token;
        Task<> t = create_task([](std::shared_ptr<int>) -> Coro<> { co_return; }, std::move(token));
        co_await t;
        EXPECT_TRUE(watch.expired());  // though the handle still lives
    });
}

TEST(TaskLifetime, closing_the_loop_destroys_tasks_in_every_state) {
    Events events;
    auto alive = std::make_shared<int>(0);
    {
        const auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        Future<int> never = loop->create_future<int>();
        const auto wait_on = [](std::shared_ptr<int>, Future<int> f) -> Coro<> { co_await f; };
        const auto doze = [](std::shared_ptr<int>) -> Coro<> { co_await forever(); };
        const auto turn = [](std::shared_ptr<int>) -> Coro<> { co_await turns(1000); };
        std::vector<Task<>> kept;
        const auto main = [&]() -> Coro<> {
            kept.push_back(create_task(wait_on, alive, never));
            kept.push_back(create_task(doze, alive));
            kept.push_back(create_task(turn, alive));
            kept.push_back(create_task([t = kept[0], alive]() -> Coro<> { co_await t; }));
            kept.push_back(
                create_task([t = kept[1], alive]() -> Coro<> { co_await gather(t, forever()); }));
            co_await turns(5);
        };
        loop->run_until_complete(main());
        kept[1].cancel();                                // its wake-up is queued
        kept.push_back(loop->create_task(doze(alive)));  // never started
        EXPECT_GT(alive.use_count(), 5);
        loop->close();
        EXPECT_EQ(alive.use_count(), 1);
        EXPECT_EQ(errors.reports().size(), 7u);  // six, and the gather's child
        for (const ExceptionContext& report : errors.reports()) {
            EXPECT_EQ(report.message, "Task was destroyed but it is pending!");
            EXPECT_FALSE(report.task.empty());
        }
        for (const Task<>& t : kept) {
            EXPECT_FALSE(t.done());
            t.cancel();  // harmless
        }
    }
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(TaskLifetime, handles_may_outlive_the_loop) {
    Task<int> done;
    Task<> pending;
    testing::run([&]() -> Coro<> {
        done = create_task(at_once(4));
        co_await done;
    });
    EXPECT_EQ(done.result(), 4);
    EXPECT_THROW(done.get_loop(), std::logic_error);
    EXPECT_FALSE(done.cancel());
}

struct OnDestruction {
    explicit OnDestruction(std::function<void()> f) : call(std::move(f)) {}
    OnDestruction(OnDestruction&& other) noexcept : call(std::exchange(other.call, nullptr)) {}
    ~OnDestruction() {
        if (call) call();
    }
    std::function<void()> call;
};

TEST(TaskLifetime, destructors_of_a_closing_loops_frames_may_touch_other_tasks) {
    const auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    Future<int> f = loop->create_future<int>();
    Task<> a;
    Task<> b;
    const auto body = [&](Task<>& other) -> Coro<> {
        const OnDestruction local([&] {
            other.cancel();
            if (!f.done()) f.set_result(1);
        });
        co_await f;
    };
    const auto main = [&]() -> Coro<> {
        a = create_task(body(b));
        b = create_task(body(a));
        co_await turns(2);
    };
    loop->run_until_complete(main());
    loop->close();
    EXPECT_EQ(errors.reports().size(), 2u);
}

TEST(TaskLifetime, a_handle_dropped_inside_its_own_done_callback) {
    testing::run([]() -> Coro<> {
        auto handle = std::make_unique<Task<int>>(create_task(at_once(1)));
        int got = 0;
        handle->add_done_callback([&](Task<int>& t) {
            handle.reset();
            got = t.result();
        });
        co_await turns(3);
        EXPECT_EQ(got, 1);
        EXPECT_EQ(handle, nullptr);
    });
}

TEST(TaskLifetime, a_parameter_destructor_that_cancels_its_task_comes_too_late) {
    testing::run([]() -> Coro<> {
        Task<std::string> t;
        bool cancelled = false;
        const auto body = [](OnDestruction) -> Coro<std::string> {
            co_return std::string(100, 'r');
        };
        t = create_task(body(OnDestruction([&] { cancelled = t.cancel(); })));
        const std::string v = co_await t;
        EXPECT_EQ(v, std::string(100, 'r'));
        EXPECT_FALSE(t.cancelled());
        EXPECT_TRUE(cancelled);  // it was not done yet
    });
}

// --- latency (asyncio-api.md, section 29) ---------------------------------------------------

TEST(TaskLatency, a_done_future_or_task_does_not_suspend) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        f.set_result(1);
        Task<int> t = create_task(at_once(2));
        co_await sleep(0s);
        Iterations iterations;
        co_await f;
        co_await t;
        EXPECT_EQ(iterations.count(), 0);
    });
}

TEST(TaskLatency, a_task_that_returns_at_once_takes_two_iterations) {
    testing::run([]() -> Coro<> {
        Iterations iterations;
        co_await create_task(return_at_once());
        EXPECT_EQ(iterations.count(), 2);
    });
}

TEST(TaskLatency, a_future_completed_by_a_queued_callback_takes_two) {
    testing::run([]() -> Coro<> {
        Future<int> f;
        Iterations iterations;
        get_running_loop().call_soon([&] { f.set_result(1); });
        co_await f;
        EXPECT_EQ(iterations.count(), 2);
    });
}

// --- errors that leave the loop -------------------------------------------------------------

TEST(TaskFatal, it_is_stored_and_leaves_the_loop_which_can_run_again) {
    const auto loop = testing::make_virtual_loop();
    Task<int> t;
    const auto fatal = []() -> Coro<int> {
        co_await sleep(0s);
        throw SystemExit(3);
    };
    const auto main = [&]() -> Coro<> {
        t = create_task(fatal());
        co_await forever();
    };
    EXPECT_THROW(loop->run_until_complete(main()), SystemExit);
    EXPECT_TRUE(t.done());
    EXPECT_THROW(t.result(), SystemExit);
    const auto again = [&]() -> Coro<int> { co_return co_await later(5, 1s); };
    EXPECT_EQ(loop->run_until_complete(again()), 5);
    testing::ErrorLog errors(*loop);
    loop->close();
}

TEST(TaskFatal, of_the_main_task_does_not_stop_the_next_run) {
    const auto loop = testing::make_virtual_loop();
    const auto fatal = []() -> Coro<int> {
        throw SystemExit(3);
        co_return 1;
    };
    EXPECT_THROW(loop->run_until_complete(fatal()), SystemExit);
    EXPECT_EQ(loop->run_until_complete(later(5, 1s)), 5);
    loop->close();
}

TEST(Task, DBG_04_a_step_that_takes_long_is_reported_with_its_task) {
    const testing::LogLines lines;
    auto loop = testing::make_virtual_loop();
    loop->set_debug(true);
    const auto slow = []() -> Coro<> {
        testing::clock_of(get_running_loop()).advance(150ms);
        co_return;
    };
    loop->run_until_complete([&]() -> Coro<> { co_await create_task(slow, {.name = "loader"}); });
    EXPECT_TRUE(lines.contains("name='loader'"));
    EXPECT_TRUE(lines.contains("task_test.cpp"));
    EXPECT_TRUE(lines.contains("took 0.150 seconds"));
}

}  // namespace
}  // namespace asyncio
