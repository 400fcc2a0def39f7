// SPDX-License-Identifier: MIT
//
// Future<T>: a result that will come, as a counted handle.
//
//     asyncio::Future<int> f = loop.create_future<int>();
//     f.set_result(1);              // in a callback
//     int x = co_await f;           // in a task; any number of tasks may wait
//
// Copies share the state. Cancelling a task that waits for a future cancels the future, and with it
// everybody who waits. An exception nobody retrieves is reported when the last handle goes.
//
// Awaiting (and result() of) a named future gives a reference to the result, which lives as long as
// the handle; awaiting a temporary moves the result out if no other handle can see it.
//
// Use Task<T> (task.hpp) for work, a Future to bridge to callbacks.
// Threads: the loop's. Errors: InvalidStateError when completed twice or read too early.
#pragma once

#include <asyncio/task/done_callback.hpp>
#include <asyncio/task/future_awaiter.hpp>
#include <asyncio/task/future_core.hpp>

#include <cstdint>
#include <source_location>
#include <type_traits>

namespace asyncio {

namespace task {

/// A future that is completed through its handle. (Tasks complete themselves.)
template <class T>
class PlainFuture final : public WithResult<T, FutureCore> {
  public:
    PlainFuture(loop::Core& core, std::source_location created)
        : WithResult<T, FutureCore>(core), created_(created) {}
    ~PlainFuture() override { this->report_unretrieved(); }

    const std::source_location* created_at() const noexcept override { return &created_; }

  private:
    std::source_location created_;
};

/// Can a T really be copied? A vector of move-only elements says it can, and does not compile.
template <class T>
struct IsCopyable : std::is_copy_constructible<T> {};
template <class T>
    requires requires {
        typename T::value_type;
        typename T::allocator_type;
    }
struct IsCopyable<T> : IsCopyable<typename T::value_type> {};

/// `taken`: the future was a temporary, so its result is moved out if nobody else can see it.
template <class T>
T take_result(FutureCore& future) {
    T& result = *static_cast<T*>(future.result_address());
    if constexpr (IsCopyable<T>::value) {
        if (future.references() > 1) return result;
    }
    return std::move(result);
}

template <class T, bool Taken>
class FutureAwaiter final : public EndAwaiter {
  public:
    using EndAwaiter::EndAwaiter;

    std::conditional_t<Taken || std::is_void_v<T>, T, std::add_lvalue_reference_t<T>>
    await_resume() {
        EndAwaiter::await_resume();
        future().require_result();
        if constexpr (std::is_void_v<T>)
            return;
        else if constexpr (Taken)
            return take_result<T>(future());
        else
            return *static_cast<T*>(future().result_address());
    }
};

}  // namespace task

/// A handle to a future or task whose result's type does not matter; all handles convert to it.
class AnyFuture : public coro::DriverAwaitable {
  public:
    AnyFuture() noexcept = default;
    explicit AnyFuture(Ref<task::FutureCore> core) noexcept : core_(std::move(core)) {}

    /// False for an empty handle; every other member requires a state.
    bool valid() const noexcept { return static_cast<bool>(core_); }
    explicit operator bool() const noexcept { return valid(); }

    bool done() const noexcept { return core_->done(); }
    bool cancelled() const noexcept { return core_->cancelled(); }
    /// A future is cancelled at once; a task is asked to. False if done already.
    bool cancel(const std::string& message = {}) const { return core_->cancel(message); }
    /// The exception or null. Throws CancelledError, or InvalidStateError while pending.
    std::exception_ptr exception() const { return core_->exception(); }
    /// Throws std::logic_error if the loop is gone.
    EventLoop& get_loop() const { return core_->loop(); }

    /// True if both are the same future.
    friend bool operator==(const AnyFuture& a, const AnyFuture& b) noexcept {
        return a.core_ == b.core_;
    }

    /// True if a callback was removed; one that is already scheduled still runs.
    std::size_t remove_done_callback(std::uint64_t number) const noexcept {
        return task::remove_done_callback(*core_, number);
    }

    task::FutureCore& core() const noexcept { return *core_; }
    const Ref<task::FutureCore>& ref() const noexcept { return core_; }

  protected:
    Ref<task::FutureCore> core_;
};

template <class T>
class [[nodiscard]] Future : public AnyFuture {
  public:
    using value_type = T;

    /// A new pending future on the running loop; std::logic_error if there is none.
    Future(std::source_location where = std::source_location::current())
        : Future(get_running_loop(), where) {}
    explicit Future(EventLoop& loop, std::source_location where = std::source_location::current())
        : AnyFuture(Ref<task::FutureCore>(new task::PlainFuture<T>(loop.core(), where))) {}
    explicit Future(Ref<task::FutureCore> core) noexcept : AnyFuture(std::move(core)) {}

    /// The result. Throws the exception, CancelledError, or InvalidStateError while pending.
    std::add_lvalue_reference_t<T> result() const& {
        core_->require_result();
        if constexpr (!std::is_void_v<T>) return *static_cast<T*>(core_->result_address());
    }
    T result() && {
        core_->require_result();
        if constexpr (!std::is_void_v<T>) return task::take_result<T>(*core_);
    }

    /// InvalidStateError if done.
    template <class... Args>
    void set_result(Args&&... args) const {
        static_assert(std::is_void_v<T> ? sizeof...(Args) == 0 : true, "this future has no value");
        core_->require_pending();
        if constexpr (!std::is_void_v<T>)
            ::new (core_->result_address()) T(std::forward<Args>(args)...);
        core_->complete_with_result();
    }
    void set_exception(std::exception_ptr error) const {
        core_->require_pending();
        if (!error) throw std::invalid_argument("set_exception needs an exception");
        core_->complete_with_error(std::move(error));
    }
    /// An exception object instead of a pointer to one.
    template <class E>
        requires(!std::is_same_v<std::remove_cvref_t<E>, std::exception_ptr>)
    void set_exception(E&& error) const {
        set_exception(std::make_exception_ptr(std::forward<E>(error)));
    }

    /// Call `f(future)` through the loop once done; at the next iteration if it is already.
    /// It runs in a copy of the present context, or in `context`. Returns a number for
    /// remove_done_callback().
    template <class F>
    std::uint64_t add_done_callback(F&& f, ContextView context = {}) const {
        return task::add_done_callback<Future>(*core_, std::forward<F>(f), context);
    }

    task::FutureAwaiter<T, false> operator co_await() const& noexcept {
        return task::FutureAwaiter<T, false>(core_);
    }
    task::FutureAwaiter<T, true> operator co_await() && noexcept {
        return task::FutureAwaiter<T, true>(std::move(core_));
    }
};

template <class T>
Future<T> EventLoop::create_future(std::source_location where) {
    return Future<T>(*this, where);
}

}  // namespace asyncio
