// SPDX-License-Identifier: MIT
//
// Eager start and task factories.
#include <asyncio/base/context_var.hpp>
#include <asyncio/base/exception_group.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/shield.hpp>
#include <asyncio/task/staggered_race.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/task_group.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/task/with.hpp>

#include <algorithm>
#include <memory>

namespace asyncio {
namespace {

using namespace task_tests;

constexpr TaskOptions kEager{.eager_start = true};
ContextVar<std::string> var("none");

bool listed(const AnyTask& task) {
    const std::vector<AnyTask> all = all_tasks();
    return std::ranges::find(all, task) != all.end();
}

/// Runs `body` on a virtual loop whose tasks start eagerly.
template <class F>
void run_eagerly(F body) {
    testing::run([&]() -> Coro<> {
        get_running_loop().set_task_factory(eager_task_factory);
        co_await body();
    });
}

TEST(Eager, EAGR_01_runs_up_to_the_first_real_suspension_inside_create_task) {
    run_eagerly([]() -> Coro<> {
        Events events;
        Future<> done;
        done.set_result();
        const auto work = [&]() -> Coro<> {
            events.push_back("begin");
            co_await return_at_once();
            co_await done;
            events.push_back("not suspended yet");
            co_await sleep(0s);
            events.push_back("resumed");
        };
        Task<> task = create_task(work());
        events.push_back("created");
        EXPECT_FALSE(task.done());
        co_await task;
        EXPECT_EQ(events, (Events{"begin", "not suspended yet", "created", "resumed"}));
    });
}

TEST(Eager, EAGR_02_what_never_suspends_is_done_at_once_and_not_listed) {
    run_eagerly([]() -> Coro<> {
        Task<int> task = create_task(at_once(42));
        EXPECT_TRUE(task.done());
        EXPECT_EQ(task.result(), 42);
        EXPECT_FALSE(listed(task));
        EXPECT_EQ(all_tasks().size(), 1u);
        Iterations iterations;
        const int v = co_await task;
        EXPECT_EQ(v, 42);
        EXPECT_EQ(iterations.count(), 0);
    });
}

TEST(Eager, EAGR_03_the_eager_step_is_a_step_of_the_new_task) {
    run_eagerly([]() -> Coro<> {
        const AnyTask creator = current_task();
        AnyTask inside;
        bool was_listed = false;
        Task<> task = create_task([&]() -> Coro<> {
            inside = current_task();
            was_listed = listed(inside);
            Task<> nested = create_task(return_at_once());
            EXPECT_TRUE(nested.done());
            EXPECT_EQ(current_task(), inside);
            co_return;
        });
        EXPECT_EQ(inside, AnyTask(task));
        EXPECT_TRUE(was_listed);
        EXPECT_EQ(current_task(), creator);
        co_return;
    });
}

TEST(Eager, EAGR_03_in_a_callback_nobody_is_current_before_or_after) {
    testing::run([]() -> Coro<> {
        AnyTask before;
        AnyTask after;
        get_running_loop().call_soon([&] {
            before = current_task();
            Task<> task = create_task(return_at_once(), kEager);
            EXPECT_TRUE(task.done());
            after = current_task();
        });
        co_await sleep(0s);
        EXPECT_FALSE(before);
        EXPECT_FALSE(after);
    });
}

TEST(Eager, EAGR_04_what_suspends_becomes_an_ordinary_task) {
    run_eagerly([]() -> Coro<> {
        Task<int> task = create_task(later(7, 1s));
        EXPECT_TRUE(listed(task));
        const TimePoint start = get_running_loop().time();
        const int v = co_await task;
        EXPECT_EQ(v, 7);
        EXPECT_EQ(get_running_loop().time() - start, 1s);
        EXPECT_FALSE(listed(task));
    });
}

TEST(Eager, EAGR_05_an_exception_is_stored_not_thrown) {
    run_eagerly([]() -> Coro<> {
        Task<int> task = create_task(fail_at_once("x"));
        EXPECT_TRUE(task.done());
        EXPECT_EQ(describe(task.exception()), "std::runtime_error: x");
        co_return;
    });
}

TEST(Eager, EAGR_05_a_cancelled_error_makes_it_cancelled) {
    run_eagerly([]() -> Coro<> {
        Task<> thrown = create_task([]() -> Coro<> {
            throw CancelledError("by hand");
            co_return;
        });
        EXPECT_TRUE(thrown.cancelled());
        Task<> itself = create_task([]() -> Coro<> {
            current_task().cancel("itself");
            co_await forever();
        });
        EXPECT_FALSE(itself.done());
        const auto outcome = co_await as_outcome(itself);
        EXPECT_EQ(error_of(outcome), "CancelledError: itself");
    });
}

TEST(Eager, EAGR_06_cancelling_a_finished_one_is_false_and_keeps_its_result) {
    run_eagerly([]() -> Coro<> {
        Task<int> task = create_task(at_once(1));
        EXPECT_FALSE(task.cancel());
        EXPECT_EQ(task.result(), 1);
        co_return;
    });
}

TEST(Eager, EAGR_07_cancelling_a_suspended_one_works_as_usual) {
    run_eagerly([]() -> Coro<> {
        Events events;
        Task<> task = create_task(note_cancel(events, "task"));
        EXPECT_TRUE(task.cancel("why"));
        const auto outcome = co_await as_outcome(task);
        EXPECT_EQ(error_of(outcome), "CancelledError: why");
        EXPECT_EQ(events, Events{"task cancelled: why"});
    });
}

TEST(Eager, EAGR_08_what_it_sets_is_not_visible_to_the_creator) {
    run_eagerly([]() -> Coro<> {
        var.set("creator");
        const auto work = [](bool suspend) -> Coro<std::string> {
            const std::string before = var.get();
            var.set("task");
            if (suspend) co_await sleep(0s);
            co_return before + " " + var.get();
        };
        Task<std::string> ended = create_task(work(false));
        Task<std::string> suspended = create_task(work(true));
        EXPECT_EQ(var.get(), "creator");
        const std::string a = co_await ended;
        const std::string b = co_await suspended;
        EXPECT_EQ(a, "creator task");
        EXPECT_EQ(b, "creator task");
        EXPECT_EQ(var.get(), "creator");
        const Context shared;
        Task<std::string> given = create_task(work(false), {.context = shared});
        EXPECT_EQ(given.result(), "none task");
        EXPECT_EQ(shared.get(var), "task");
    });
}

TEST(Eager, EAGR_09_done_callbacks_run_through_the_loop) {
    run_eagerly([]() -> Coro<> {
        Events events;
        Task<int> task = create_task(at_once(1));
        task.add_done_callback(
            [&](Task<int>& t) { events.push_back("done " + std::to_string(t.result())); });
        events.push_back("added");
        co_await sleep(0s);
        EXPECT_EQ(events, (Events{"added", "done 1"}));
    });
}

TEST(Eager, EAGR_10_the_name_is_visible_in_the_eager_step) {
    run_eagerly([]() -> Coro<> {
        const auto own_name = []() -> Coro<std::string> { co_return current_task().get_name(); };
        Task<std::string> task = create_task(own_name(), {.name = "worker"});
        EXPECT_EQ(task.result(), "worker");
        co_return;
    });
}

TEST(Eager, EAGR_11_the_option_overrides_the_factory) {
    testing::run([]() -> Coro<> {
        Task<> lazy_by_default = create_task(return_at_once());
        Task<> eager = create_task(return_at_once(), {.eager_start = true});
        Task<> eager_callable = create_task(return_at_once, {.eager_start = true});
        EXPECT_FALSE(lazy_by_default.done());
        EXPECT_TRUE(eager.done());
        EXPECT_TRUE(eager_callable.done());
        get_running_loop().set_task_factory(eager_task_factory);
        Task<> lazy = create_task(return_at_once(), {.eager_start = false});
        EXPECT_FALSE(lazy.done());
        co_await lazy;
    });
}

TEST(Eager, EAGR_12_only_where_this_thread_runs_the_loop) {
    auto loop = testing::make_virtual_loop();
    Task<int> early = loop->create_task(at_once(1), kEager);
    EXPECT_FALSE(early.done());
    EXPECT_EQ(loop->run_until_complete(early), 1);
    auto other = testing::make_virtual_loop();
    other->run_until_complete([&]() -> Coro<> {  // another loop runs here
        Task<int> foreign = loop->create_task(at_once(2), kEager);
        EXPECT_FALSE(foreign.done());
        early = foreign;
        co_return;
    });
    EXPECT_EQ(loop->run_until_complete(early), 2);
    other->close();
    loop->close();
}

TEST(Eager, EAGR_13_what_leaves_the_eager_start_reaches_the_creator_whose_turn_it_is_again) {
    const testing::LogLines log;
    run_eagerly([]() -> Coro<> {
        const AnyTask creator = current_task();
        const auto leave = []() -> Coro<> {
            throw SystemExit(3);
            co_return;
        };
        int code = 0;
        try {
            (void)create_task(leave());
        } catch (const SystemExit& e) {
            code = e.code;
        }
        EXPECT_EQ(code, 3);
        EXPECT_EQ(current_task(), creator);
        EXPECT_EQ(var.get(), "none");
        EXPECT_EQ(all_tasks().size(), 1u);
        co_return;
    });
    EXPECT_EQ(log.size(), 0u);  // it was retrieved
}

TEST(Eager, EAGR_14_GATH_22_a_tree_that_never_suspends_is_done_without_a_step) {
    run_eagerly([]() -> Coro<> {
        const auto leaf = [](int v) -> Coro<int> { co_return v; };
        const auto branch = [&](int v) -> Coro<int> {
            auto [a, b] = co_await gather(leaf(v), leaf(v + 1));
            co_return a + b;
        };
        Iterations iterations;
        auto tree = gather(branch(1), branch(10));
        EXPECT_TRUE(tree.done());
        const auto [a, b] = co_await tree;
        EXPECT_EQ(a, 3);
        EXPECT_EQ(b, 21);
        std::vector<Coro<int>> many;
        for (int i = 0; i < 100; ++i) many.push_back(branch(i));
        const std::vector<int> sums = co_await gather(std::move(many));
        EXPECT_EQ(sums[99], 199);
        EXPECT_EQ(iterations.count(), 0);
    });
}

TEST(Eager, GATH_22_failures_and_mixtures_too) {
    run_eagerly([]() -> Coro<> {
        auto failed = gather(fail_at_once("x"), later(1, 1s));
        EXPECT_TRUE(failed.done());
        EXPECT_EQ(describe(failed.exception()), "std::runtime_error: x");
        auto outcomes = gather(return_exceptions, fail_at_once("y"), at_once(2));
        EXPECT_TRUE(outcomes.done());
        auto mixed = gather(at_once(1), later(2, 1s));
        EXPECT_FALSE(mixed.done());
        const auto [a, b] = co_await mixed;
        EXPECT_EQ(a + b, 3);
        co_await sleep(1s);
    });
}

TEST(Eager, EAGR_14_the_children_of_a_group_are_done_when_created) {
    run_eagerly([]() -> Coro<> {
        int steps = 0;
        const auto leaf = [&]() -> Coro<> {
            ++steps;
            co_return;
        };
        const auto branch = [&](TaskGroup& group) -> Coro<> {
            for (int i = 0; i < 10; ++i) {
                Task<> child = group.create_task(leaf());
                EXPECT_TRUE(child.done());
            }
            EXPECT_EQ(steps, 10);
            co_return;
        };
        co_await with(TaskGroup(), branch);
        EXPECT_EQ(steps, 10);
    });
}

TEST(Eager, a_group_hears_of_an_eager_failure_later_not_inside_create_task) {
    run_eagerly([]() -> Coro<> {
        bool went_on = false;
        const auto body = [&](TaskGroup& group) -> Coro<> {
            Task<int> failed = group.create_task(fail_at_once("x"));
            EXPECT_TRUE(failed.done());
            Task<> sibling = group.create_task(forever());
            went_on = true;
            co_await sleep(0s);
            ADD_FAILURE() << "not interrupted";
        };
        const auto outcome = co_await as_outcome(with(TaskGroup(), body));
        EXPECT_TRUE(went_on);
        EXPECT_FALSE(outcome);
    });
}

TEST(Eager, shield_and_wait_for_take_what_is_done_as_it_is) {
    run_eagerly([]() -> Coro<> {
        {
            Iterations iterations;
            const int a = co_await shield(at_once(1));
            const int b = co_await wait_for(at_once(2), 1s);
            const int c = co_await wait_for(create_task(at_once(3)), 0s);
            EXPECT_EQ(a + b + c, 6);
            EXPECT_EQ(iterations.count(), 0);
        }
        const auto late = co_await as_outcome(wait_for(create_task(forever()), 1s));
        EXPECT_EQ(error_of(late).find("asyncio::TimeoutError"), 0u);
    });
}

TEST(Eager, many_levels_of_eager_tasks_nest) {
    run_eagerly([]() -> Coro<> {
        struct Nest {
            static Coro<int> down(int depth) {
                if (depth == 0) co_return 0;
                Task<int> next = create_task(down(depth - 1));
                const int v = co_await next;
                co_return v + 1;
            }
        };
        const int v = co_await Nest::down(100);
        EXPECT_EQ(v, 100);
    });
}

// --- factories
// ------------------------------------------------------------------------------------

TEST(TaskFactories, TASK_16_a_factory_sees_each_task_with_its_options_and_may_change_them) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Events seen;
        const Context context;
        context.run([] { var.set("given"); });
        EXPECT_EQ(loop.get_task_factory(), nullptr);
        loop.set_task_factory([&](const AnyTask& task, TaskOptions& options) {
            seen.push_back(task.get_name() + (options.eager_start.value_or(false) ? " eager" : ""));
            EXPECT_EQ(&task.get_loop(), &loop);
            EXPECT_FALSE(task.done());
            task.set_name("made by the factory");
            options.eager_start = true;
            options.context = context;
        });
        EXPECT_NE(loop.get_task_factory(), nullptr);
        const auto look = []() -> Coro<std::string> {
            co_return current_task().get_name() + ", " + var.get();
        };
        Task<std::string> a = create_task(look(), {.name = "a", .eager_start = true});
        Task<std::string> b = create_task(look, {.name = "b"});
        Task<std::string> c = loop.create_task(look(), {.name = "c"});
        EXPECT_EQ(a.result(), "made by the factory, given");
        EXPECT_EQ(b.result(), "made by the factory, given");
        EXPECT_EQ(c.result(), "made by the factory, given");
        co_await gather(look());
        EXPECT_EQ(seen.size(), 4u);
        seen.resize(3);
        EXPECT_EQ(seen, (Events{"a eager", "b", "c"}));
        loop.set_task_factory(nullptr);
        Task<std::string> plain = create_task(look());
        EXPECT_FALSE(plain.done());
        co_await plain;
    });
}

TEST(TaskFactories, what_one_throws_reaches_the_creator_and_the_task_never_runs) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        testing::ErrorLog errors(loop);
        loop.set_task_factory(
            [](const AnyTask&, TaskOptions&) { throw std::runtime_error("no more tasks"); });
        bool ran = false;
        auto argument = std::make_shared<int>(1);
        const auto work = [&ran](std::shared_ptr<int>) -> Coro<> {
            ran = true;
            co_return;
        };
        EXPECT_THROW((void)create_task(work(argument)), std::runtime_error);
        EXPECT_EQ(argument.use_count(), 1);
        EXPECT_EQ(all_tasks().size(), 1u);
        loop.set_task_factory([&](const AnyTask&, TaskOptions&) {
            loop.set_task_factory(nullptr);  // itself
        });
        Task<> task = create_task(work(argument));
        EXPECT_EQ(loop.get_task_factory(), nullptr);
        co_await task;
        EXPECT_TRUE(ran);
        EXPECT_TRUE(errors.reports().empty());
        loop.set_exception_handler(nullptr);
    });
}

Coro<> fail_at_once() {
    if (current_task()) throw std::runtime_error("at once");
    co_return;
}

TEST(Eager, TG_33_a_child_that_fails_in_its_eager_step_breaks_nothing_before_the_next_await) {
    run_eagerly([]() -> Coro<> {
        bool went_on = false;
        bool after = false;
        auto body = [&](TaskGroup& group) -> Coro<> {
            const Task<> child = group.create_task(fail_at_once());
            EXPECT_TRUE(child.done());
            went_on = true;
            co_await sleep(1s);
            after = true;
        };
        const auto outcome = co_await as_outcome(with(TaskGroup(), body));
        EXPECT_TRUE(went_on);
        EXPECT_FALSE(after);
        EXPECT_THROW(std::rethrow_exception(outcome.error()), ExceptionGroup);
    });
}

TEST(Eager, TG_34_a_child_whose_eager_step_lets_a_sibling_fail_is_cancelled_all_the_same) {
    run_eagerly([]() -> Coro<> {
        bool cancelled = false;
        auto body = [&](TaskGroup& group) -> Coro<> {
            auto child = [&]() -> Coro<> {
                const Task<> sibling = group.create_task(fail_at_once());
                EXPECT_TRUE(sibling.done());
                try {
                    for (int i = 0; i < 10; ++i) co_await sleep(1s);
                } catch (const CancelledError&) {
                    cancelled = true;
                    throw;
                }
            };
            const Task<> waits = group.create_task(child);
            co_return;
        };
        const TimePoint start = get_running_loop().time();
        const auto outcome = co_await as_outcome(with(TaskGroup(), body));
        EXPECT_TRUE(cancelled);
        EXPECT_LT(get_running_loop().time() - start, 3s);
        EXPECT_THROW(std::rethrow_exception(outcome.error()), ExceptionGroup);
    });
}

TEST(Eager, TG_40_a_child_that_cancels_its_group_in_its_eager_step_is_cancelled) {
    run_eagerly([]() -> Coro<> {
        bool cancelled = false;
        auto body = [&](TaskGroup& group) -> Coro<> {
            auto child = [&]() -> Coro<> {
                group.cancel();
                try {
                    co_await sleep(10s);
                } catch (const CancelledError&) {
                    cancelled = true;
                    throw;
                }
            };
            const Task<> task = group.create_task(child);
            co_await sleep(20s);
        };
        const TimePoint start = get_running_loop().time();
        co_await with(TaskGroup(), body);  // the group's own request: nothing is thrown
        EXPECT_TRUE(cancelled);
        EXPECT_EQ(get_running_loop().time(), start);
    });
}

TEST(Eager, STAG_09_a_staggered_race_of_eager_tasks) {
    run_eagerly([]() -> Coro<> {
        int started = 0;
        auto attempt = [&]() -> Coro<int> {
            const int number = ++started;
            if (number == 1) throw std::runtime_error("the first fails at once");
            co_return number;
        };
        std::vector<decltype(attempt)> attempts(3, attempt);
        const auto race = co_await staggered_race(std::move(attempts), 1s);
        EXPECT_EQ(race.winner_index, 1u);
        EXPECT_EQ(race.result, 2);
        EXPECT_EQ(started, 2);
        EXPECT_EQ(race.exceptions.size(), 2u);
    });
}

}  // namespace
}  // namespace asyncio
