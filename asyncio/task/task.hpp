// SPDX-License-Identifier: MIT
//
// Task<T>: a coroutine that runs on the loop by itself; a Future of its result.
//
//     asyncio::Task<int> t = asyncio::create_task(work(), {.name = "worker-1"});
//     int v = co_await t;
//     auto u = asyncio::create_task(handler, std::move(connection), 42);
//     auto w = asyncio::create_task([id]() -> Coro<> { ... });
//
// create_task takes a coroutine, any awaitable, or a callable with its arguments; callable and
// arguments move into the task and live as long as it does. The first step is scheduled for the
// next iteration. The loop keeps a running task alive; a dropped handle detaches it.
//
// A task runs in a copy of the context it was created in, or in the one given: {.context = c}.
//
// With {.eager_start = true} the first step is made inside create_task instead, up to the first
// real suspension: what never suspends is done when create_task returns. eager_task_factory makes
// that the loop's default.
//
// cancel() is a request: it asks what the task waits for to stop, and CancelledError comes out of
// that await. The task may clean up, or swallow it. See core of the state machine in task_core.hpp.
//
// Threads: the loop's. Not thread-safe.
#pragma once

#include <asyncio/base/given_arguments.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/task/awaitable.hpp>
#include <asyncio/task/future.hpp>
#include <asyncio/task/task_core.hpp>
#include <asyncio/task/task_stack.hpp>

#include <string_view>
#include <vector>

namespace asyncio {

/// A handle to a task whose result's type does not matter.
class AnyTask : public AnyFuture {
  public:
    AnyTask() noexcept = default;
    explicit AnyTask(task::TaskCore* core) noexcept : AnyFuture(Ref<task::FutureCore>(core)) {}
    template <class T>
    AnyTask(const Task<T>& task) noexcept : AnyFuture(task.ref()) {}

    std::uint32_t cancelling() const noexcept { return task().cancelling(); }
    std::uint32_t uncancel() const noexcept { return task().uncancel(); }
    std::string get_name() const { return task().name(); }
    void set_name(std::string_view name) const { task().set_name(name); }
    /// The context it runs in, shared with it.
    Context get_context() const { return task().context(); }

    /// The coroutines it stands in, outermost first, the innermost `limit` of them. The current
    /// task stands where it asks. Of a failed task those its error passed through; else none when
    /// done.
    std::vector<StackFrame> get_stack(
        std::size_t limit = kWholeStack,
        const std::source_location& here = std::source_location::current()) const;
    /// The same for people, to `file`.
    void print_stack(std::size_t limit = kWholeStack, std::FILE* file = stderr,
                     const std::source_location& here = std::source_location::current()) const {
        task::print_stack(task(), limit, file, here);
    }

    task::TaskCore& task() const noexcept { return static_cast<task::TaskCore&>(*core_); }
};

template <class T>
class [[nodiscard]] Task : public Future<T> {
  public:
    /// An empty handle.
    Task() noexcept : Future<T>(Ref<task::FutureCore>()) {}
    explicit Task(Ref<task::FutureCore> core) noexcept : Future<T>(std::move(core)) {}

    /// Cancel requests that were not taken back.
    std::uint32_t cancelling() const noexcept { return task().cancelling(); }
    /// Take one request back; the remaining number. Zero revokes what was not delivered yet.
    std::uint32_t uncancel() const noexcept { return task().uncancel(); }
    std::string get_name() const { return task().name(); }
    void set_name(std::string_view name) const { task().set_name(name); }
    /// The context it runs in, shared with it.
    Context get_context() const { return task().context(); }

    /// The coroutines it stands in, outermost first, the innermost `limit` of them. The current
    /// task stands where it asks. Of a failed task those its error passed through; else none when
    /// done.
    std::vector<StackFrame> get_stack(
        std::size_t limit = kWholeStack,
        const std::source_location& here = std::source_location::current()) const {
        return task::get_stack(task(), limit, here);
    }
    /// The same for people, to `file`.
    void print_stack(std::size_t limit = kWholeStack, std::FILE* file = stderr,
                     const std::source_location& here = std::source_location::current()) const {
        task::print_stack(task(), limit, file, here);
    }

    template <class F>
    std::uint64_t add_done_callback(F&& f, ContextView context = {}) const {
        return task::add_done_callback<Task>(*this->core_, std::forward<F>(f), context);
    }
    /// A task's result comes from its coroutine.
    template <class... Args>
    void set_result(Args&&...) const = delete;
    template <class E>
    void set_exception(E&&) const = delete;

    task::TaskCore& task() const noexcept { return static_cast<task::TaskCore&>(*this->core_); }
};

namespace task {

template <class T>
Task<T> start_coro(EventLoop& loop, Coro<T>&& coro, TaskOptions options,
                   std::source_location where) {
    loop.check_usable();
    Ref<TaskState<T>> state(new TaskState<T>(loop.core(), where));
    state->start(coro.release(), options);
    return Task<T>(Ref<FutureCore>(std::move(state)));
}

/// Any awaitable as a coroutine.
template <class A>
Coro<AwaitResult<A>> await_it(A awaitable) {
    co_return co_await std::move(awaitable);
}

/// Keeps callable and arguments in its frame while what they return is awaited.
template <class F, class... Args>
Coro<AwaitResult<std::invoke_result_t<F&, Args...>>> call_it(F f, Args... args) {
    co_return co_await call(f, std::move(args)...);
}

template <class A>
ASYNCIO_CORO_WRAPPER auto as_coro(A&& awaitable) {
    static_assert(!kIsCoro<A> || !std::is_lvalue_reference_v<A>,
                  "a Coro is awaited once: hand it over with std::move(coro)");
    if constexpr (kIsCoro<A>)
        return std::remove_cvref_t<A>(std::move(awaitable));
    else
        return await_it(std::decay_t<A>(std::forward<A>(awaitable)));
}

/// What create_task() does with a function: start(coroutine that calls it with the arguments).
template <class Start, class F>
struct TaskCall {
    const Start& start;
    std::remove_reference_t<F>& f;

    template <class... Args>
    auto operator()(Args&&... args) const {
        constexpr bool kCallable = std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>...>;
        static_assert(kCallable,
                      "create_task needs a coroutine, another awaitable, or a function and the "
                      "arguments it can be called with");
        if constexpr (kCallable) {
            using Result = std::invoke_result_t<std::decay_t<F>&, std::decay_t<Args>...>;
            static_assert(
                Awaitable<Result>,
                "create_task needs a function that returns a coroutine (or other awaitable)");
            if constexpr (Awaitable<Result>)
                return start(call_it<std::decay_t<F>, std::decay_t<Args>...>(
                    std::forward<F>(f), std::forward<Args>(args)...));
        }
    }
};

}  // namespace task

/// Run an awaitable as a task of the running loop. std::logic_error if none runs.
template <Awaitable A>
auto create_task(A&& awaitable, TaskOptions options = {},
                 std::source_location where = std::source_location::current()) {
    EventLoop& loop = get_running_loop();
    return task::start_coro(loop, task::as_coro(std::forward<A>(awaitable)), options, where);
}

/// Run f(arguments...), which returns an awaitable, as a task; f and the arguments move into it.
template <class F, class A1 = NotGiven, class A2 = NotGiven, class A3 = NotGiven,
          class A4 = NotGiven, class A5 = NotGiven, class A6 = NotGiven>
    requires(!Awaitable<F> && !std::is_same_v<std::remove_cvref_t<A1>, TaskOptions>)
auto create_task(F&& f, A1&& a1 = NotGiven(nullptr), A2&& a2 = NotGiven(nullptr),
                 A3&& a3 = NotGiven(nullptr), A4&& a4 = NotGiven(nullptr),
                 A5&& a5 = NotGiven(nullptr), A6&& a6 = NotGiven(nullptr),
                 std::source_location where = std::source_location::current()) {
    const auto start = [&loop = get_running_loop(), where]<class T>(Coro<T>&& coro) {
        return task::start_coro(loop, std::move(coro), TaskOptions(), where);
    };
    return with_given(task::TaskCall<decltype(start), F>{start, f}, std::forward<A1>(a1),
                      std::forward<A2>(a2), std::forward<A3>(a3), std::forward<A4>(a4),
                      std::forward<A5>(a5), std::forward<A6>(a6));
}

/// The same, without arguments, with options.
template <class F>
    requires(!Awaitable<F>)
auto create_task(F&& f, TaskOptions options,
                 std::source_location where = std::source_location::current()) {
    const auto start = [&, &loop = get_running_loop()]<class T>(Coro<T>&& coro) {
        return task::start_coro(loop, std::move(coro), options, where);
    };
    return task::TaskCall<decltype(start), F>{start, f}();
}

template <class A>
auto EventLoop::create_task(A&& awaitable, std::source_location where) {
    return create_task(std::forward<A>(awaitable), TaskOptions(), where);
}

template <class A>
auto EventLoop::create_task(A&& awaitable, TaskOptions options, std::source_location where) {
    const auto start = [&]<class T>(Coro<T>&& coro) {
        return task::start_coro(*this, std::move(coro), options, where);
    };
    if constexpr (Awaitable<A>)
        return start(task::as_coro(std::forward<A>(awaitable)));
    else
        return task::TaskCall<decltype(start), A>{start, awaitable}();
}

/// For loop.set_task_factory(): tasks make their first step inside create_task, unless created
/// with {.eager_start = false}. Saves an iteration, and all scheduling of what never suspends; but
/// create_task then runs foreign code at once.
void eager_task_factory(const AnyTask& task, TaskOptions& options) noexcept;

/// The task being stepped in this thread; empty in plain callbacks. std::logic_error if no loop
/// runs.
AnyTask current_task();

/// The tasks of `loop` (default: the running one) that are not done.
std::vector<AnyTask> all_tasks();
std::vector<AnyTask> all_tasks(EventLoop& loop);

}  // namespace asyncio
