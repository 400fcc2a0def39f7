// SPDX-License-Identifier: MIT
//
// Promise<T>: what stands at the front of every coroutine frame of Coro<T>.
//
// It knows its driver (the task), the frame that awaits it, where it was created and where it
// stands: each co_await records its source location (one store). From this a stack of suspended
// coroutines can be printed at any time, and costs nothing while nobody asks. An error that leaves
// the coroutine is noted with that location (error_trace.hpp).
//
// Layout: PromiseBase is the first base, and no promise is aligned to more than 16 bytes; so the
// frame's handle can be had from a PromiseBase (handle()), without storing it. coro_test.cpp checks
// this on each compiler. Over-aligned results are refused at compile time.
#pragma once

#include <asyncio/base/outcome.hpp>
#include <asyncio/coro/driver.hpp>
#include <asyncio/coro/frame_pool.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T>
class Coro;

namespace coro {

/// Base (an empty tag) of every awaiter and awaitable that knows how to suspend a driver.
/// What is given to co_await makes its awaiter in operator co_await, unless the awaiter can be
/// moved (GCC 12 moves an awaiter that is awaited itself).
struct DriverAwaitable {};

template <class A>
concept ForDrivers = std::is_base_of_v<DriverAwaitable, std::remove_cvref_t<A>>;

/// For static_asserts that fail where they are instantiated.
template <class...>
inline constexpr bool kNever = false;

class PromiseBase;

/// The driver of the coroutine that suspends. For each await_suspend.
template <class P>
auto& driver_of(std::coroutine_handle<P> frame) noexcept {
    static_assert(std::is_base_of_v<PromiseBase, P>,
                  "asyncio's awaitables can be awaited only in a coroutine that returns "
                  "asyncio::Coro");
    return frame.promise().driver();
}

class PromiseBase {
  public:
    static void* operator new(std::size_t size) { return FramePool::allocate(size); }
    static void operator delete(void* memory, std::size_t size) noexcept {
        FramePool::deallocate(memory, size);
    }

    std::suspend_always initial_suspend() const noexcept { return {}; }

    struct FinalAwaiter {
        bool await_ready() const noexcept { return false; }
        template <class P>
        void await_suspend(std::coroutine_handle<P> frame) const noexcept {
            frame.promise().returned();
        }
        void await_resume() const noexcept {}
    };
    FinalAwaiter final_suspend() const noexcept { return {}; }

    template <ForDrivers A>
    A&& await_transform(A&& awaitable,
                        std::source_location where = std::source_location::current()) noexcept {
        await_site_ = where;
        return std::forward<A>(awaitable);
    }

    // What cannot be awaited is told why, and before the compiler finds words of its own.
    template <class A>
        requires(!ForDrivers<A>)
    auto await_transform(A&&) noexcept {
        static_assert(kNever<A>,
                      "co_await needs a coroutine, task, future or another asyncio awaitable");
        return std::suspend_never();
    }
    template <ForDrivers A>
        requires requires { typename A::AwaitedOnce; }
    auto await_transform(A&) noexcept {
        static_assert(kNever<A>, "a Coro is awaited once: write co_await std::move(coro)");
        return std::suspend_never();
    }

    Driver& driver() const noexcept { return *driver_; }
    PromiseBase* awaiter() const noexcept { return parent_; }
    const std::source_location& await_site() const noexcept { return await_site_; }
    const std::source_location& created() const noexcept { return created_; }

    std::coroutine_handle<PromiseBase> handle() noexcept {
        return std::coroutine_handle<PromiseBase>::from_promise(*this);
    }

    /// This frame is the first of a chain.
    void become_root(Driver& driver) noexcept { driver_ = &driver; }

    /// `parent` awaits this frame through `owner`, the handle that keeps this frame alive.
    void start_for(PromiseBase& parent, PromiseBase*& owner) noexcept {
        driver_ = parent.driver_;
        parent_ = &parent;
        owner_ = &owner;
        driver_->run_next(*this);
    }

    /// Destroy the frame, which never ran, and coroutines among its arguments, however many are
    /// nested in one another: without recursion beyond a few.
    void drop_unstarted() noexcept;

  protected:
    explicit PromiseBase(std::source_location created) noexcept : created_(created) {}
    ~PromiseBase() = default;

    /// The exception that leaves the coroutine now; an error is noted for its stack.
    std::exception_ptr escaped() const noexcept;

    /// Whoever awaits this frame goes on; of a root nobody does.
    void returned() noexcept {
        if (parent_ != nullptr) driver_->run_next(*parent_);
    }

  private:
    friend class Driver;

    Driver* driver_ = nullptr;
    PromiseBase* parent_ = nullptr;  // who awaits this frame; null for a root
    PromiseBase** owner_ = nullptr;  // the awaiter's pointer to this frame
    std::source_location await_site_;
    std::source_location created_;
};

inline bool Driver::resume_chain() noexcept {
    wait_ = nullptr;
    PromiseBase* resumed = nullptr;
    do {
        resumed = innermost_;
        resumed->handle().resume();
    } while (innermost_ != resumed);
    if (wait_ != nullptr) return true;
    if (!innermost_->handle().done()) [[unlikely]]
        report_phantom_suspension();
    return false;
}

inline void Driver::run_next(PromiseBase& promise) noexcept { innermost_ = &promise; }

template <class T>
class Promise final : public PromiseBase {
  public:
    static_assert(alignof(T) <= 16, "a coroutine's result must not be aligned to more than 16");

    Promise(std::source_location created = std::source_location::current()) noexcept
        : PromiseBase(created) {}

    Coro<T> get_return_object() noexcept;
    void unhandled_exception() noexcept {
        keep_escaped(std::coroutine_handle<Promise>::from_promise(*this));
    }

    template <class U = T>
        requires std::is_convertible_v<U&&, T>
    void return_value(U&& value) {
        outcome_.set_value(std::forward<U>(value));
    }
    template <class U>
        requires(!std::is_convertible_v<U &&, T>)
    auto return_value(U&&) {
        static_assert(kNever<U>, "co_return: the value cannot be converted to the T of Coro<T>");
    }

    Outcome<T>& outcome() noexcept { return outcome_; }

  private:
    /// Not inline, and told the frame: a coroutine has its address in a register anyway. That of
    /// the promise would take another, which every turn saves and restores.
    [[gnu::noinline]] static void keep_escaped(std::coroutine_handle<Promise> frame) noexcept {
        Promise& self = frame.promise();
        self.outcome_.set_error(self.escaped());
    }

    Outcome<T> outcome_;
};

template <>
class Promise<void> final : public PromiseBase {
  public:
    Promise(std::source_location created = std::source_location::current()) noexcept
        : PromiseBase(created) {}

    Coro<void> get_return_object() noexcept;
    void unhandled_exception() noexcept {
        keep_escaped(std::coroutine_handle<Promise>::from_promise(*this));
    }
    void return_void() noexcept {}

    Outcome<void>& outcome() noexcept { return outcome_; }

  private:
    [[gnu::noinline]] static void keep_escaped(std::coroutine_handle<Promise> frame) noexcept {
        Promise& self = frame.promise();
        self.outcome_.set_error(self.escaped());
    }

    Outcome<void> outcome_;
};

}  // namespace coro
}  // namespace asyncio
