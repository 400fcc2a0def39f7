// SPDX-License-Identifier: MIT
//
// ConcurrentFuture<T>: a result that will come, for any thread to see: Python's
// concurrent.futures.Future. What Executor::submit() and run_coroutine_threadsafe() return.
//
//     asyncio::ConcurrentFuture<int> f = pool.submit(crunch, data);
//     int n = f.result();              // blocks this thread
//     int m = co_await f;              // or suspends this task, on whatever loop it runs
//     std::future<int> g = f;          // the standard one, for those who want it
//
// Copies share the state. result() of a named future gives a reference, which lives as long as a
// handle; a temporary's is moved out. Awaiting a temporary moves, awaiting a named one copies what
// can be copied. An exception nobody asks for is dropped, as Python's is.
//
// cancel() keeps what has not started from starting. Cancelling a task that awaits it does the
// same.
//
// Threads: any; a handle itself is a value like any other.
#pragma once

#include <asyncio/base/error.hpp>
#include <asyncio/base/option.hpp>
#include <asyncio/base/outcome.hpp>
#include <asyncio/base/shared.hpp>
#include <asyncio/task/future.hpp>
#include <asyncio/thread/concurrent_core.hpp>

#include <type_traits>
#include <utility>

// <future> weighs as much as a tenth of this library, and only who names std::future needs it. So
// the one name of it that the conversion below needs is declared here, as the standard library
// itself would; whoever uses the conversion has included <future>.
// clang-format off
#ifdef _LIBCPP_VERSION
_LIBCPP_BEGIN_NAMESPACE_STD
template <class Result> class promise;
_LIBCPP_END_NAMESPACE_STD
#else
namespace std _GLIBCXX_VISIBILITY(default) {
_GLIBCXX_BEGIN_NAMESPACE_VERSION
template <typename Result> class promise;
_GLIBCXX_END_NAMESPACE_VERSION
}
#endif
// clang-format on

namespace asyncio {

namespace thread {

/// ConcurrentCore with the outcome.
template <class T>
class ConcurrentState : public ConcurrentCore {
  public:
    /// REQUIRES: called by the completing side, once.
    void complete_with(Outcome<T> outcome) {
        outcome_ = std::move(outcome);
        const State final = outcome_.has_value() ? State::result : State::error;
        complete(final);
    }

    /// REQUIRES: done. Throws CancelledError if cancelled.
    Outcome<T>& outcome() {
        if (state() == State::cancelled) throw CancelledError();
        return outcome_;
    }

  private:
    Outcome<T> outcome_;
};

/// What a conversion to `Other` would give, if that is a std::future of a T.
template <class Other, class T>
concept StandardFutureOf = requires(Other& other) {
    { other.get() } -> std::same_as<T>;
    other.share();
};

}  // namespace thread

template <class T = void>
class [[nodiscard]] ConcurrentFuture : public coro::DriverAwaitable {
  public:
    using value_type = T;

    /// An empty handle.
    ConcurrentFuture() noexcept = default;
    explicit ConcurrentFuture(Shared<thread::ConcurrentState<T>> state) noexcept
        : state_(std::move(state)) {}

    /// False for an empty handle; every other member requires a state.
    bool valid() const noexcept { return state_ != nullptr; }
    bool done() const noexcept { return state_->done(); }
    bool running() const noexcept { return state_->state() == State::running; }
    bool cancelled() const noexcept { return state_->state() == State::cancelled; }

    /// True if it is cancelled now; false if it runs already or is done.
    bool cancel() const { return state_->cancel(); }

    /// Block until done. False when `limit` passed before.
    bool wait(Option<Duration> limit = {}) const { return state_->wait(limit); }

    /// Block until done; the result, or its exception. CancelledError if it was cancelled,
    /// TimeoutError when `limit` passed (the work goes on).
    std::add_lvalue_reference_t<T> result(Option<Duration> limit = {}) const& {
        wait_or_throw(limit);
        if constexpr (std::is_void_v<T>)
            state_->outcome().value();
        else
            return state_->outcome().value();
    }
    T result(Option<Duration> limit = {}) && {
        wait_or_throw(limit);
        return state_->outcome().take();
    }
    /// The exception or null; waits and throws like result().
    std::exception_ptr exception(Option<Duration> limit = {}) const {
        wait_or_throw(limit);
        return state_->outcome().error();
    }

    /// Call `f(future)` once done: in the thread that completes or cancels it, or here and now if
    /// it is done. `f` must not throw.
    template <class F>
    void add_done_callback(F&& f) const {
        state_->add_done_callback([f = std::forward<F>(f), self = *this]() mutable { f(self); });
    }

    /// A std::future of the same result: cancellation is a CancelledError in it.
    template <class StandardFuture>
        requires thread::StandardFutureOf<StandardFuture, T>
    operator StandardFuture() const;

    /// Awaited, it is wrapped for the loop that runs the task, see wrap_future.hpp.
    auto operator co_await() const&;
    auto operator co_await() &&;

    const Shared<thread::ConcurrentState<T>>& state() const noexcept { return state_; }

  private:
    using State = thread::ConcurrentCore::State;

    void wait_or_throw(Option<Duration> limit) const {
        if (!state_->wait(limit)) throw TimeoutError();
    }

    Shared<thread::ConcurrentState<T>> state_;
};

template <class T>
template <class StandardFuture>
    requires thread::StandardFutureOf<StandardFuture, T>
ConcurrentFuture<T>::operator StandardFuture() const {
    auto promise = make_owned<std::promise<T>>();
    StandardFuture future = promise->get_future();
    state_->add_done_callback([state = state_, promise = std::move(promise)] {
        try {
            if constexpr (std::is_void_v<T>) {
                state->outcome().value();
                promise->set_value();
            } else if constexpr (task::IsCopyable<T>::value) {
                promise->set_value(state->outcome().value());
            } else {
                promise->set_value(state->outcome().take());
            }
        } catch (...) {
            promise->set_exception(std::current_exception());
        }
    });
    return future;
}

}  // namespace asyncio
