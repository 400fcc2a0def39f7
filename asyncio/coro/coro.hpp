// SPDX-License-Identifier: MIT
//
// Coro<T>: what an `async def` returns. Lazy: nothing runs until it is awaited or made a task.
//
//     Coro<int> twice(int x) { co_return 2 * x; }
//     Coro<> caller() { int y = co_await twice(21); ... }
//
// Move-only, awaited once. Dropping one that never started runs nothing and leaks nothing (debug
// mode says so in the log: it is a forgotten co_await, most often). Awaiting
// goes straight into the coroutine: no queue, no allocation beyond its frame, no stack growth.
// Arguments taken by reference must live until the await ends; what goes into a task takes its
// arguments by value, or is given as create_task(function, arguments...).
//
// Threads: may be moved to another thread before it starts; then it belongs to its task's thread.
// Cancellation: passes through; the innermost wait throws CancelledError.
#pragma once

#include <asyncio/base/taken.hpp>
#include <asyncio/coro/promise.hpp>

#include <stdexcept>
#include <utility>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12 && !defined(ASYNCIO_NO_COMPILER_NOTE)
#pragma message("asyncio: GCC 12 miscompiles some coroutines; see docs/gcc12.md, run asyncio-lint")
#endif

#if defined(__clang__) && defined(ASYNCIO_STRICT_LIFETIMES)
#define ASYNCIO_CORO_ATTRIBUTES [[clang::coro_return_type, clang::coro_lifetimebound]]
#define ASYNCIO_CORO_WRAPPER [[clang::coro_wrapper]]
#else
#define ASYNCIO_CORO_ATTRIBUTES
#define ASYNCIO_CORO_WRAPPER  // on a function that returns a Coro and is none itself
#endif

namespace asyncio {

namespace coro {
[[noreturn]] void throw_already_awaited();

/// Told of each coroutine that is dropped before it started; null: nobody cares.
using NeverAwaited = void (*)(const std::source_location& created);
void set_never_awaited(NeverAwaited report) noexcept;

/// Owns a frame; what Coro and its awaiter share.
class FrameOwner {
  public:
    explicit FrameOwner(PromiseBase* promise) noexcept : promise_(promise) {}
    FrameOwner(FrameOwner&& other) noexcept : promise_(taken(other.promise_)) {}
    FrameOwner& operator=(FrameOwner other) noexcept {
        swap(other);
        return *this;
    }
    ~FrameOwner() { destroy(); }

    void swap(FrameOwner& other) noexcept {
        PromiseBase* const mine = promise_;
        promise_ = other.promise_;
        other.promise_ = mine;
    }
    bool empty() const noexcept { return promise_ == nullptr; }
    PromiseBase& promise() const noexcept { return *promise_; }
    PromiseBase*& slot() noexcept { return promise_; }
    PromiseBase* release() noexcept { return taken(promise_); }
    void destroy() noexcept {
        if (promise_ != nullptr) taken(promise_)->handle().destroy();
    }

  private:
    PromiseBase* promise_;
};

/// Awaits a coroutine: makes it the innermost frame, then hands over its outcome and frees it.
template <class T>
class CoroAwaiter {
  public:
    explicit CoroAwaiter(FrameOwner frame) noexcept : frame_(std::move(frame)) {}

    bool await_ready() const {
        if (frame_.empty()) throw_already_awaited();
        return false;
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> parent) noexcept {
        static_assert(std::is_base_of_v<PromiseBase, P>,
                      "a Coro can be awaited only in a coroutine that returns asyncio::Coro");
        if constexpr (std::is_base_of_v<PromiseBase, P>)
            frame_.promise().start_for(parent.promise(), frame_.slot());
    }
    T await_resume() {
        // The frame dies before the caller goes on: its parameters do not outlive the await.
        FrameOwner frame = std::move(frame_);
        return static_cast<Promise<T>&>(frame.promise()).outcome().take();
    }

  private:
    FrameOwner frame_;
};
}  // namespace coro

template <class T = void>
class [[nodiscard(
    "a coroutine does nothing until it is awaited: co_await it, or give it to create_task")]]
ASYNCIO_CORO_ATTRIBUTES Coro : public coro::DriverAwaitable {
  public:
    using promise_type = coro::Promise<T>;
    using value_type = T;
    using AwaitedOnce = void;

    Coro(Coro&&) noexcept = default;
    Coro& operator=(Coro&& other) noexcept {
        Coro(std::move(other)).frame_.swap(frame_);
        return *this;
    }
    ~Coro() {
        if (!frame_.empty()) [[unlikely]]
            frame_.release()->drop_unstarted();
    }

    /// False after it was awaited or moved from.
    bool valid() const noexcept { return !frame_.empty(); }
    /// Where its body is written. REQUIRES: valid.
    const std::source_location& created() const noexcept { return frame_.promise().created(); }

    coro::CoroAwaiter<T> operator co_await() && noexcept {
        return coro::CoroAwaiter<T>(std::move(frame_));
    }

    /// For tasks: take the frame, not started yet. Throws std::logic_error if there is none.
    promise_type& release() {
        if (frame_.empty()) coro::throw_already_awaited();
        return static_cast<promise_type&>(*frame_.release());
    }

  private:
    friend promise_type;
    explicit Coro(promise_type& promise) noexcept : frame_(&promise) {}

    coro::FrameOwner frame_;
};

namespace coro {
template <class T>
Coro<T> Promise<T>::get_return_object() noexcept {
    return Coro<T>(*this);
}
inline Coro<void> Promise<void>::get_return_object() noexcept { return Coro<void>(*this); }
}  // namespace coro

}  // namespace asyncio
