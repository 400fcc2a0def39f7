// SPDX-License-Identifier: MIT
//
// Executor: something that runs plain functions elsewhere, in its own time and threads.
//
//     asyncio::ThreadPoolExecutor pool(4);
//     asyncio::ConcurrentFuture<int> f = pool.submit(crunch, std::move(data));
//
// An executor of one's own implements two functions. It runs each job at most once; a job it drops
// instead cancels its future.
//
// Threads: all of it may be called from any.
#pragma once

#include <asyncio/base/unique_function.hpp>
#include <asyncio/thread/concurrent_future.hpp>

#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace asyncio {

namespace thread {

/// A function to be run by an executor, and what becomes of it. The function is released as soon as
/// it ran or was cancelled, in the thread that did so.
template <class F, class T>
class Work final : public ConcurrentState<T> {
  public:
    explicit Work(F&& function) : function_(std::in_place, std::move(function)) {}

    void run() noexcept {
        if (!this->start()) return;
        Outcome<T> outcome;
        try {
            if constexpr (std::is_void_v<T>)
                (*function_)();
            else
                outcome.set_value((*function_)());
        } catch (...) {
            outcome.set_error(std::current_exception());
        }
        function_.reset();
        this->complete_with(std::move(outcome));
    }

  private:
    void dropped() noexcept override { function_.reset(); }

    std::optional<F> function_;
};

/// What is given to the executor: runs the work, or cancels it when dropped.
template <class W>
class Job {
  public:
    explicit Job(Shared<W> work) noexcept : work_(std::move(work)) {}
    Job(Job&&) noexcept = default;
    Job& operator=(Job&&) = delete;
    ~Job() {
        if (work_ != nullptr) work_->cancel();
    }
    void operator()() { std::exchange(work_, nullptr)->run(); }

  private:
    Shared<W> work_;
};

/// f(args...) as one function without arguments; both are moved in.
template <class F, class... Args>
auto bind(F&& f, Args&&... args) {
    return [f = std::decay_t<F>(std::forward<F>(f)),
            arguments = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)]() mutable
               -> decltype(auto) { return std::apply(f, std::move(arguments)); };
}

/// What a thread's call of f(args...) gives, as a value.
template <class F, class... Args>
struct CallResult {
    static_assert(std::is_invocable_v<std::decay_t<F>&, std::decay_t<Args>...>,
                  "the function cannot be called with these arguments");
    using type = std::remove_cvref_t<std::invoke_result_t<std::decay_t<F>&, std::decay_t<Args>...>>;
    static_assert(!coro::ForDrivers<type>,
                  "a thread runs a plain function; for a coroutine use create_task, or "
                  "run_coroutine_threadsafe");
};

}  // namespace thread

class Executor {
  public:
    virtual ~Executor() = default;

    /// Run `job()` some time, or destroy it. std::logic_error after shutdown().
    virtual void execute(UniqueFunction<void()> job) = 0;
    /// No more jobs. `cancel_futures`: drop those that have not started; otherwise they run still.
    /// `wait`: return when the last has ended. Idempotent.
    virtual void shutdown(bool wait = true, bool cancel_futures = false) = 0;

    /// Run f(args...), which are moved in. std::logic_error after shutdown().
    template <class F, class... Args>
    auto submit(F&& f, Args&&... args) {
        using T = typename thread::CallResult<F, Args...>::type;
        auto function = thread::bind(std::forward<F>(f), std::forward<Args>(args)...);
        using W = thread::Work<decltype(function), T>;
        auto work = Shared<W>::make(std::move(function));
        ConcurrentFuture<T> future(work);
        execute(thread::Job<W>(std::move(work)));
        return future;
    }
};

}  // namespace asyncio
