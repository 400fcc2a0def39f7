// SPDX-License-Identifier: MIT
//
// G7's operations of the rooms task and thread.
#include <memory>
#include <optional>
#include <tests/proof/cancel/operation.hpp>

namespace asyncio::proof {
namespace {

Coro<int> slow(int value) {
    co_await sleep(0s);
    co_await sleep(200us);
    co_await sleep(0s);
    co_return value;
}

Coro<> slow_nothing() { (void)co_await slow(0); }

std::vector<Coro<int>> some_slow() {
    std::vector<Coro<int>> many;
    for (int i = 0; i < 5; ++i) many.push_back(slow(i));
    return many;
}

std::vector<Task<int>> some_tasks() {
    std::vector<Task<int>> many;
    for (int i = 0; i < 5; ++i) many.push_back(create_task(slow(i)));
    return many;
}

Coro<> cancel_and_await(std::vector<Task<int>> tasks) {
    for (const Task<int>& task : tasks) task.cancel();
    for (const Task<int>& task : tasks) (void)co_await as_outcome(task);
}

AsyncGenerator<int> numbers(int& open) {
    struct Count {
        explicit Count(int& n) : number(n) { ++number; }
        ~Count() { --number; }
        int& number;
    };
    const Count count(open);
    for (int i = 0; i < 3; ++i) {
        co_await sleep(0s);
        co_yield i;
        co_await sleep(100us);
    }
}

struct Manager {
    int* entered;
    Coro<> aenter() {
        co_await sleep(0s);
        ++*entered;
    }
    Coro<bool> aexit(std::exception_ptr) {
        --*entered;
        co_await sleep(0s);
        co_return false;
    }
};

/// Nothing that `count` counts is left.
CoroFunction<> all_undone(std::shared_ptr<int> count, const char* what) {
    return [count, what]() -> Coro<> {
        require(*count == 0, what);
        co_return;
    };
}

Coro<Scene> future() {
    Future<int> pending = get_running_loop().create_future<int>();
    get_running_loop().call_later(300us, [pending] {
        if (!pending.done()) pending.set_result(1);
    });
    co_return Scene{[pending]() -> Coro<> { (void)co_await pending; }, {}};
}

Coro<Scene> task() {
    Task<int> other = create_task(slow(1));
    co_return Scene{[other]() -> Coro<> { (void)co_await other; }, {}};
}

Coro<Scene> wait_all() {
    std::vector<Task<int>> tasks = some_tasks();
    co_return Scene{[tasks]() -> Coro<> { (void)co_await wait(tasks); },
                    [tasks]() -> Coro<> { co_await cancel_and_await(tasks); }};
}

Coro<Scene> wait_first() {
    std::vector<Task<int>> tasks = some_tasks();
    co_return Scene{
        [tasks]() -> Coro<> { (void)co_await wait(tasks, {.return_when = FIRST_COMPLETED}); },
        [tasks]() -> Coro<> { co_await cancel_and_await(tasks); }};
}

Coro<Scene> wait_a_while() {
    std::vector<Task<int>> tasks = some_tasks();
    co_return Scene{[tasks]() -> Coro<> { (void)co_await wait(tasks, {.timeout = 50us}); },
                    [tasks]() -> Coro<> { co_await cancel_and_await(tasks); }};
}

Coro<Scene> completed() {
    std::vector<Task<int>> tasks = some_tasks();
    co_return Scene{[tasks]() -> Coro<> {
                        auto it = as_completed(tasks);
                        while (auto next = co_await it.next()) (void)co_await *next;
                    },
                    [tasks]() -> Coro<> { co_await cancel_and_await(tasks); }};
}

Coro<Scene> shielded() {
    Task<int> inner = create_task(slow(5));
    co_return Scene{[inner]() -> Coro<> { (void)co_await shield(inner); },
                    [inner]() -> Coro<> {
                        const int value = co_await inner;
                        require(value == 5, "the shielded task lost its value");
                    }};
}

Coro<Scene> cleanup() {
    auto open = std::make_shared<int>(0);
    co_return Scene{[open]() -> Coro<> {
                        ++*open;
                        auto undo = [&open]() -> Coro<> {
                            --*open;
                            co_await sleep(0s);
                        };
                        co_await with_cleanup(slow_nothing(), undo);
                    },
                    [open]() -> Coro<> {
                        // Cancelled before its first step, it has not begun.
                        require(*open == 0, "the cleanup did not run");
                        co_return;
                    }};
}

Coro<Scene> context_manager() {
    auto entered = std::make_shared<int>(0);
    co_return Scene{[entered]() -> Coro<> {
                        Manager manager{entered.get()};
                        co_await with(std::move(manager), slow_nothing);
                    },
                    all_undone(entered, "a manager was entered and not left")};
}

Coro<Scene> exit_stack() {
    auto entered = std::make_shared<int>(0);
    co_return Scene{[entered]() -> Coro<> {
                        auto body = [&entered](AsyncExitStack& stack) -> Coro<> {
                            Manager first{entered.get()};
                            Manager second{entered.get()};
                            (void)co_await stack.enter_context(std::move(first));
                            (void)co_await stack.enter_context(std::move(second));
                            co_await slow_nothing();
                        };
                        co_await with(AsyncExitStack(), body);
                    },
                    all_undone(entered, "a manager on the stack was not left")};
}

Coro<Scene> generator() {
    auto open = std::make_shared<int>(0);
    co_return Scene{[open]() -> Coro<> {
                        auto all = numbers(*open);
                        while (auto value = co_await all.next()) (void)*value;
                    },
                    all_undone(open, "a generator was not unwound")};
}

Coro<Scene> generator_close() {
    auto open = std::make_shared<int>(0);
    co_return Scene{[open]() -> Coro<> {
                        auto all = numbers(*open);
                        (void)co_await all.next();
                        co_await all.aclose();
                    },
                    all_undone(open, "a closed generator was not unwound")};
}

Coro<Scene> collected() {
    auto open = std::make_shared<int>(0);
    co_return Scene{[open]() -> Coro<> { (void)co_await collect(numbers(*open)); },
                    all_undone(open, "a collected generator was not unwound")};
}

Coro<int> attempt() { co_return co_await slow(1); }
Coro<> race() {
    std::vector<Coro<int> (*)()> attempts(3, &attempt);
    (void)co_await staggered_race(std::move(attempts), 50us);
}

Coro<> group() {
    co_await with(TaskGroup(), [](TaskGroup& tasks) -> Coro<> {
        for (int i = 0; i < 3; ++i) (void)tasks.create_task(slow(i));
        co_await sleep(0s);
    });
}

Coro<> groups() {
    co_await with(TaskGroup(), [](TaskGroup& tasks) -> Coro<> {
        (void)tasks.create_task(group());
        (void)tasks.create_task(group());
        co_await group();
    });
}

Coro<> runs_out_of_time() {
    const auto outcome = co_await as_outcome(wait_for(sleep(10s), 200us));
    if (outcome.cancelled()) throw CancelledError();
    require(!outcome, "a sleep of ten seconds ended in time");
}

Coro<Scene> pool_future() {
    auto pool = std::make_shared<ThreadPoolExecutor>(1);
    auto done = std::make_shared<int>(0);
    co_return Scene{[pool, done]() -> Coro<> {
                        auto count = [done] { ++*done; };
                        co_await get_running_loop().run_in_executor(*pool, std::move(count));
                    },
                    [pool]() -> Coro<> {
                        const int answer =
                            co_await get_running_loop().run_in_executor(*pool, [] { return 42; });
                        require(answer == 42, "the pool is not usable any more");
                    }};
}

Coro<Scene> wrapped() {
    auto pool = std::make_shared<ThreadPoolExecutor>(1);
    co_return Scene{
        [pool]() -> Coro<> { (void)co_await wrap_future(pool->submit([] { return 1; })); }, {}};
}

}  // namespace

void add_task_operations(Operations& all) {
    all.push_back(simple("sleep(0)", []() -> Coro<> { co_await sleep(0s); }));
    all.push_back(simple("sleep", []() -> Coro<> { co_await sleep(300us); }));
    all.push_back(
        simple("sleep with a result", []() -> Coro<> { (void)co_await sleep(200us, 5); }));
    all.push_back(simple("coroutine", []() -> Coro<> { (void)co_await slow(1); }));
    all.push_back({"future", future});
    all.push_back({"task", task});
    all.push_back(simple("eager task", []() -> Coro<> {
        (void)co_await create_task(slow(1), {.eager_start = true});
    }));
    all.push_back(simple(
        "gather", []() -> Coro<> { (void)co_await gather(slow(1), slow(2), sleep(100us)); }));
    all.push_back(
        simple("gather of a range", []() -> Coro<> { (void)co_await gather(some_slow()); }));
    all.push_back(simple("gather with return_exceptions", []() -> Coro<> {
        (void)co_await gather(return_exceptions, slow(1), slow(2));
    }));
    all.push_back({"wait", wait_all});
    all.push_back({"wait for the first", wait_first});
    all.push_back({"wait with a timeout", wait_a_while});
    all.push_back({"as_completed", completed});
    all.push_back(simple("wait_for", []() -> Coro<> { (void)co_await wait_for(slow(1), 1s); }));
    all.push_back(simple("wait_for in vain", runs_out_of_time));
    all.push_back(
        simple("timeout with a body", []() -> Coro<> { co_await timeout(1s, slow_nothing); }));
    all.push_back(simple("with a timeout", []() -> Coro<> {
        co_await with(timeout(1s), [](Timeout&) -> Coro<> { (void)co_await slow(1); });
    }));
    all.push_back({"shield", shielded});
    all.push_back(simple("TaskGroup", group));
    all.push_back(simple("TaskGroup in a TaskGroup", groups));
    all.push_back(simple("as_outcome", []() -> Coro<> {
        const Outcome<int> outcome = co_await as_outcome(slow(1));
        (void)outcome.value();
    }));
    all.push_back({"with_cleanup", cleanup});
    all.push_back({"with a manager", context_manager});
    all.push_back({"AsyncExitStack", exit_stack});
    all.push_back(simple("staggered_race", race));
    all.push_back({"AsyncGenerator.next", generator});
    all.push_back({"AsyncGenerator.aclose", generator_close});
    all.push_back({"collect", collected});
    all.push_back(simple("shutdown_asyncgens",
                         []() -> Coro<> { co_await get_running_loop().shutdown_asyncgens(); }));
    all.push_back(
        simple("to_thread", []() -> Coro<> { (void)co_await to_thread([] { return 1; }); }));
    all.push_back({"run_in_executor", pool_future});
    all.push_back({"wrap_future", wrapped});
    all.push_back(simple("shutdown_default_executor", []() -> Coro<> {
        (void)co_await to_thread([] { return 1; });
        co_await get_running_loop().shutdown_default_executor();
    }));
}

}  // namespace asyncio::proof
