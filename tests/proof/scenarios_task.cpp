// SPDX-License-Identifier: MIT
//
// Scenarios of tasks, time, locks, threads and signals.
#include <atomic>
#include <csignal>

#include "scenarios.hpp"

namespace asyncio::proof {
namespace {

using namespace std::chrono_literals;

Coro<int> soon(int value, Duration delay = 0s) {
    co_await sleep(delay);
    co_return value;
}

Coro<> sleep_and_timers() {
    EventLoop& loop = get_running_loop();
    int fired = 0;
    loop.call_later(1ms, [&] { ++fired; });
    loop.call_soon([&] { ++fired; });
    TimerHandle never = loop.call_later(1h, [&] { fired += 100; });
    never.cancel();
    co_await sleep(0s);
    co_await sleep(2ms);
    while (fired != 2) co_await sleep(1ms);
}

Coro<> tasks_and_futures() {
    Task<int> task = create_task(soon(1), {.name = "first"});
    Future<int> future = get_running_loop().create_future<int>();
    auto setter = create_task([future]() mutable -> Coro<> {
        co_await sleep(0s);
        future.set_result(2);
    });
    co_await setter;
    const int value = co_await future;
    expect(value == 2, "the future has its result");
    const int first = co_await task;
    expect(first == 1, "the task has its result");
    Task<int> cancelled = create_task(soon(3, 1h));
    co_await sleep(0s);
    cancelled.cancel("not wanted");
    const auto outcome = co_await as_outcome(cancelled);
    expect(outcome.cancelled(), "a cancelled task ends cancelled");
}

Coro<> gather_and_wait() {
    auto [a, b, c] = co_await gather(soon(1), soon(2, 1ms), soon(3));
    expect(a + b + c == 6, "gather gives all results");
    std::vector<Coro<int>> many;
    for (int i = 0; i < 20; i++) many.push_back(soon(i));
    const std::vector<int> results = co_await gather(std::move(many));
    expect(results.size() == 20 && results[19] == 19, "gather of a vector gives all results");
    std::vector<Task<int>> tasks = {create_task(soon(1, 1h)), create_task(soon(2))};
    const auto [done, pending] =
        co_await wait(tasks, {.timeout = 1s, .return_when = FIRST_COMPLETED});
    expect(done.size() == 1 && pending.size() == 1, "wait gives the first");
    tasks[0].cancel();
    (void)co_await as_outcome(tasks[0]);
    int sum = 0;
    auto completed = as_completed(std::vector{create_task(soon(4)), create_task(soon(5))});
    while (auto next = co_await completed.next()) sum += co_await *next;
    expect(sum == 9, "as_completed gives all");
}

Coro<> task_group() {
    int sum = 0;
    auto add = [&sum](int value) -> Coro<> { sum += co_await soon(value); };
    co_await with(TaskGroup(), [&](TaskGroup& group) -> Coro<> {
        for (int i = 1; i <= 4; i++) (void)group.create_task(add(i));
        co_return;
    });
    expect(sum == 10, "a group waits for all");
    bool failed = false;
    try {
        co_await with(TaskGroup(), [&](TaskGroup& group) -> Coro<> {
            (void)group.create_task(soon(1, 1h));
            (void)group.create_task([]() -> Coro<> {
                co_await sleep(0s);
                throw std::runtime_error("one fails");
            });
            co_return;
        });
    } catch (const ExceptionGroup& group) {
        failed = group.subgroup<std::runtime_error>().has_value();
        if (!failed) throw;
    }
    expect(failed, "a failure leaves the group");
}

Coro<> queues() {
    Queue<std::string> queue(4);
    auto produce = [&]() -> Coro<> {
        for (int i = 0; i < 20; i++) co_await queue.put(std::string(40, 'x'));
        queue.shutdown();
    };
    std::size_t bytes = 0;
    auto consume = [&]() -> Coro<> {
        for (;;) {
            auto item = co_await as_outcome(queue.get());
            if (!item) break;
            bytes += item->size();
        }
    };
    co_await with(TaskGroup(), [&](TaskGroup& group) -> Coro<> {
        (void)group.create_task(produce());
        (void)group.create_task(consume());
        co_return;
    });
    expect(bytes == 800, "no item is lost");
    PriorityQueue<int> priorities;
    for (const int i : {3, 1, 2}) priorities.put_nowait(i);
    const int first = co_await priorities.get();
    expect(first == 1, "the least comes first");
}

Coro<> locks() {
    Lock lock;
    Event event;
    Condition condition(lock);
    Semaphore semaphore(2);
    Barrier barrier(3);
    int inside = 0;
    auto work = [&]() -> Coro<> {
        co_await event.wait();
        auto permit = co_await semaphore.scoped();
        {
            auto held = co_await lock.scoped();
            ++inside;
            condition.notify_all();
        }
    };
    auto meet = [&]() -> Coro<> { (void)co_await barrier.wait(); };
    auto all_in = [&]() -> Coro<> {
        auto held = co_await condition.scoped();
        co_await condition.wait_for([&] { return inside == 4; });
    };
    auto open = [&]() -> Coro<> {
        co_await sleep(0s);
        event.set();
    };
    co_await with(TaskGroup(), [&](TaskGroup& group) -> Coro<> {
        for (int i = 0; i < 4; i++) (void)group.create_task(work());
        for (int i = 0; i < 3; i++) (void)group.create_task(meet());
        (void)group.create_task(all_in());
        (void)group.create_task(open());
        co_return;
    });
}

Coro<> cancelled_shields() {
    auto inner = create_task(soon(7, 1h));
    bool late = false;
    try {
        (void)co_await wait_for(shield(inner), 1ms);
    } catch (const TimeoutError&) {
        late = true;
    }
    expect(late, "wait_for a shield is in time");
    auto wait = [&inner]() -> Coro<int> { co_return co_await shield(inner); };
    Task<int> waiting = create_task(wait);
    co_await sleep(0s);
    waiting.cancel();
    const auto outcome = co_await as_outcome(waiting);
    if (!outcome && !outcome.cancelled()) std::rethrow_exception(outcome.error());
    expect(outcome.cancelled(), "who waits for a shield can be cancelled");
    expect(!inner.done(), "a task goes on when its shields are cancelled");
    inner.cancel();
    (void)co_await as_outcome(inner);
}

Coro<> timeouts() {
    bool late = false;
    try {
        (void)co_await wait_for(soon(1, 1h), 1ms);
    } catch (const TimeoutError&) {
        late = true;
    }
    expect(late, "wait_for is in time");
    late = false;
    try {
        co_await timeout(1ms, []() -> Coro<> { (void)co_await soon(1, 1h); });
    } catch (const TimeoutError&) {
        late = true;
    }
    expect(late, "timeout is in time");
    auto inner = create_task(soon(7, 2ms));
    const int value = co_await wait_for(shield(inner), 1s);
    expect(value == 7, "a shielded task goes on");
    co_await cancelled_shields();
}

AsyncGenerator<int> count_to(int n) {
    for (int i = 1; i <= n; i++) {
        co_await sleep(0s);
        co_yield i;
    }
}

Coro<> generators() {
    int sum = 0;
    auto numbers = count_to(5);
    while (auto value = co_await numbers.next()) sum += *value;
    expect(sum == 15, "a generator gives all");
    auto abandoned = count_to(1000);
    (void)co_await abandoned.next();
    co_await with(AsyncExitStack(), [&](AsyncExitStack& stack) -> Coro<> {
        stack.callback([&] { ++sum; });
        stack.push_async_callback([&]() -> Coro<> {
            co_await sleep(0s);
            ++sum;
        });
        co_return;
    });
    expect(sum == 17, "the stack calls all");
}

Coro<> threads() {
    const int value = co_await to_thread([] { return 6 * 7; });
    expect(value == 42, "to_thread gives the result");
    ThreadPoolExecutor pool(2, "proof");
    auto first = get_running_loop().run_in_executor(pool, [] { return 1; });
    auto second = get_running_loop().run_in_executor(pool, [](int n) { return n; }, 2);
    const int sum = co_await first + co_await second;
    expect(sum == 3, "an executor gives the results");
    bool failed = false;
    try {
        co_await to_thread([] { throw std::runtime_error("in a thread"); });
    } catch (const std::runtime_error& error) {
        failed = std::string_view(error.what()) == "in a thread";
        if (!failed) throw;
    }
    expect(failed, "an exception crosses");
}

Coro<> from_other_threads() {
    EventLoop& loop = get_running_loop();
    Event called;
    auto there = [&]() -> int {
        loop.call_soon_threadsafe([&] { called.set(); });
        auto future = run_coroutine_threadsafe(soon(5), loop);
        try {
            return future.result();
        } catch (const CancelledError&) {  // it never got to the loop
            throw std::bad_alloc();
        }
    };
    const int answer = co_await to_thread(there);
    expect(answer == 5, "the other thread has the result");
    co_await called.wait();
}

void all_cores(const Environment& environment) {
    std::atomic<int> served{0};
    serve_on_cores(2,
                   [&]() -> Coro<> {
                       co_await sleep(1ms);
                       served++;
                   },
                   {.backend = environment.backend});
    expect(served == 2, "each core serves");
}

Coro<> signals() {
    auto receiver = open_signal_receiver(SIGUSR1);
    std::raise(SIGUSR1);
    const auto received = co_await receiver.next();
    expect(received && *received == SIGUSR1, "the receiver has the signal");
    Event handled;
    get_running_loop().add_signal_handler(SIGUSR2, [&] { handled.set(); });
    std::raise(SIGUSR2);
    co_await handled.wait();
    get_running_loop().remove_signal_handler(SIGUSR2);
}

Coro<> cancel_everything() {
    Lock lock;
    co_await lock.acquire();
    Event event;
    Queue<int> queue(1);
    co_await with(TaskGroup(), [&](TaskGroup& group) -> Coro<> {
        std::vector<Task<>> tasks;
        tasks.push_back(group.create_task([&]() -> Coro<> { co_await lock.acquire(); }));
        tasks.push_back(group.create_task([&]() -> Coro<> { co_await event.wait(); }));
        tasks.push_back(group.create_task([&]() -> Coro<> { (void)co_await queue.get(); }));
        tasks.push_back(group.create_task([&]() -> Coro<> { (void)co_await soon(1, 1h); }));
        tasks.push_back(group.create_task(
            [&]() -> Coro<> { (void)co_await gather(soon(1, 1h), soon(2, 1h)); }));
        co_await sleep(1ms);
        for (const auto& task : tasks) task.cancel();
    });
    lock.release();
}

}  // namespace

std::span<const Scenario> task_scenarios() {
    static constexpr Scenario list[] = {
        {"sleep_and_timers", on_loop<sleep_and_timers>, true},
        {"tasks_and_futures", on_loop<tasks_and_futures>, true},
        {"gather_and_wait", on_loop<gather_and_wait>, true},
        {"task_group", on_loop<task_group>, true},
        {"queues", on_loop<queues>, true},
        {"locks", on_loop<locks>, true},
        {"timeouts", on_loop<timeouts>, true},
        {"generators", on_loop<generators>, true},
        {"threads", on_loop<threads>, true},
        {"from_other_threads", on_loop<from_other_threads>, true},
        {"all_cores", all_cores, true, true},
        {"signals", on_loop<signals>, true},
        {"cancel_everything", on_loop<cancel_everything>, true},
    };
    return list;
}

}  // namespace asyncio::proof
