// SPDX-License-Identifier: MIT
//
// run_coroutine_threadsafe and threadsafe(): a loop's work, seen and cancelled from other threads.
//
//     asyncio::ConcurrentFuture<int> f = asyncio::run_coroutine_threadsafe(work(), loop);
//     std::future<int> g = asyncio::run_coroutine_threadsafe(work(), loop);
//     int n = co_await asyncio::run_coroutine_threadsafe(work(), other_loop);   // from a loop
//
// A task belongs to its loop's thread, its handles too. What other threads hold is a
// ConcurrentFuture, tied to the task by a Link, which the task's done callback and a callback of
// the concurrent future share:
//
//     the task ends            its outcome goes to the concurrent future (which may be cancelled)
//     that is cancelled        the loop is posted to, and cancels the task if it is not done
//     the loop closes          the concurrent future is cancelled: nobody waits for ever
//
// Threads: run_coroutine_threadsafe: any; blocking on its result in the loop's own thread waits for
// ever. threadsafe(): the loop's.
#pragma once

#include <asyncio/task/task.hpp>
#include <asyncio/thread/concurrent_future.hpp>
#include <asyncio/thread/wrap_future.hpp>

#include <type_traits>
#include <utility>

namespace asyncio {

namespace thread {

struct Link;

/// Ties `future` to `state`; until the Tie ends, in the loop's thread.
class Tie {
  public:
    Tie(task::FutureCore& future, Shared<ConcurrentCore> state);
    Tie(Tie&&) noexcept = default;
    Tie& operator=(Tie&&) = delete;
    /// Cancels what is still waited for.
    ~Tie();

  private:
    Shared<Link> link_;
    Shared<ConcurrentCore> state_;
};

/// The outcome of `future`, which is done, for another thread.
template <class T>
void pass_on(const Future<T>& future, ConcurrentState<T>& state, bool movable) {
    if (future.cancelled()) {
        state.cancel();
        return;
    }
    Outcome<T> outcome;
    try {
        if constexpr (std::is_void_v<T>)
            future.result();
        else if (movable || !task::IsCopyable<T>::value)
            outcome.set_value(std::move(future.result()));
        else if constexpr (task::IsCopyable<T>::value)
            outcome.set_value(future.result());
    } catch (...) {
        outcome.set_error(std::current_exception());
    }
    state.complete_with(std::move(outcome));
}

template <class T>
void tie(const Future<T>& future, Shared<ConcurrentState<T>> state, bool movable) {
    auto call = [state, movable, knot = Tie(future.core(), state)](Future<T>& done) {
        pass_on(done, *state, movable);
    };
    future.add_done_callback(std::move(call));
}

/// Makes the task in the loop's thread; if it never gets there, the future is cancelled.
template <class T, class A>
class Start {
  public:
    Start(EventLoop& loop, A&& work, Shared<ConcurrentState<T>> state)
        : loop_(&loop), work_(std::move(work)), state_(std::move(state)) {}
    Start(Start&&) noexcept = default;
    Start& operator=(Start&&) = delete;
    ~Start() {
        if (state_) state_->cancel();
    }

    void operator()() {
        const auto state = std::move(state_);
        try {
            const Task<T> task = loop_->create_task(std::move(work_));
            tie<T>(task, state, true);
            if (state->done()) task.cancel();  // before it began
        } catch (...) {
            state->complete_with(Outcome<T>(std::current_exception()));
            throw;  // for the loop's exception handler
        }
    }

  private:
    EventLoop* loop_;
    A work_;
    Shared<ConcurrentState<T>> state_;
};

template <class T, class A>
ConcurrentFuture<T> start_elsewhere(EventLoop& loop, A work) {
    auto state = Shared<ConcurrentState<T>>::make();
    ConcurrentFuture<T> future(state);
    loop.call_soon_threadsafe(Start<T, A>(loop, std::move(work), std::move(state)));
    return future;
}

}  // namespace thread

/// Run a coroutine, or any awaitable, as a task of `loop`. Cancelling the result cancels the task.
/// std::logic_error if the loop is closed.
template <Awaitable A>
auto run_coroutine_threadsafe(A&& awaitable, EventLoop& loop) {
    using Work = std::decay_t<A>;
    return thread::start_elsewhere<AwaitResult<A>, Work>(loop, std::forward<A>(awaitable));
}

/// The same for a function that returns one; it is called in the loop's thread and kept by the
/// task.
template <class F>
    requires(!Awaitable<F> && std::is_invocable_v<std::decay_t<F>&>)
auto run_coroutine_threadsafe(F&& f, EventLoop& loop) {
    using Made = std::invoke_result_t<std::decay_t<F>&>;
    static_assert(
        Awaitable<Made>,
        "run_coroutine_threadsafe needs a coroutine, or a function that returns one; for a "
        "plain function use call_soon_threadsafe");
    using Work = std::decay_t<F>;
    return thread::start_elsewhere<AwaitResult<Made>, Work>(loop, std::forward<F>(f));
}

/// A view of a task or future for other threads and loops. Cancelling it cancels the task.
template <class T>
ConcurrentFuture<T> threadsafe(const Future<T>& future) {
    auto state = Shared<thread::ConcurrentState<T>>::make();
    thread::tie<T>(future, state, false);
    return ConcurrentFuture<T>(std::move(state));
}

}  // namespace asyncio
