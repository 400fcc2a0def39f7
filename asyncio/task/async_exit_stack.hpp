// SPDX-License-Identifier: MIT
//
// AsyncExitStack: a number of context managers that is known only at run time.
//
//     co_await asyncio::with(asyncio::AsyncExitStack(), [&](asyncio::AsyncExitStack& stack) ->
//     Coro<> {
//         for (const Address& a : addresses) connections.push_back(&co_await
//         stack.enter_context(connect(a))); stack.push_async_callback([&]() -> Coro<> { co_await
//         log.flush(); });
//         ...
//     });
//
// Leaving it leaves what was entered in the reverse order. Each exit is told the exception that is
// in flight then: one may swallow it, or throw another, which the exits after it are told. All run,
// whatever the others throw.
//
// A manager given as an rvalue, and the entered value, live in the stack until they are left; the
// addresses stay. A stack that is destroyed without being left destroys them without leaving them.
// Threads: the loop's.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/task/with.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace asyncio {

namespace task {

/// Something to do when the stack is left; true: the exception is swallowed.
class StackedExit {
  public:
    virtual ~StackedExit() = default;
    virtual Coro<bool> leave(std::exception_ptr error) = 0;

    Owned<StackedExit> before;  // it in the stack
};

/// `M` may be a reference.
template <class M>
class StackedManager final : public StackedExit {
  public:
    explicit StackedManager(M&& given) : manager(std::forward<M>(given)) {}

    Coro<Entered<M>*> enter() {
        if constexpr (std::is_void_v<EnteredResult<M>>) {
            co_await manager.aenter();
            co_return &manager;
        } else {
            value.emplace(co_await manager.aenter());
            co_return &*value;
        }
    }
    ASYNCIO_CORO_WRAPPER Coro<bool> leave(std::exception_ptr error) override {
        return task::leave(manager, std::move(error));
    }

    M manager;
    std::optional<std::conditional_t<std::is_void_v<EnteredResult<M>>, char, Entered<M>>> value;
};

template <class F>
class StackedCallback final : public StackedExit {
  public:
    explicit StackedCallback(F f) : f_(std::move(f)) {}

    Coro<bool> leave(std::exception_ptr) override {
        if constexpr (Awaitable<std::invoke_result_t<F&>>)
            (void)co_await call(f_);
        else
            f_();
        co_return false;
    }

  private:
    F f_;
};

/// Awaits a pointer, gives a reference.
template <class T>
class [[nodiscard]] Referred : public coro::DriverAwaitable {
  public:
    using AwaitedOnce = void;
    explicit Referred(Coro<T*>&& pointer) noexcept : pointer_(std::move(pointer)) {}

    class Awaiter final : public coro::CoroAwaiter<T*> {
      public:
        using coro::CoroAwaiter<T*>::CoroAwaiter;
        T& await_resume() { return *coro::CoroAwaiter<T*>::await_resume(); }
    };
    Awaiter operator co_await() && { return Awaiter(coro::FrameOwner(&pointer_.release())); }

  private:
    Coro<T*> pointer_;
};

}  // namespace task

class AsyncExitStack {
  public:
    AsyncExitStack() = default;
    AsyncExitStack(AsyncExitStack&&) noexcept = default;
    AsyncExitStack& operator=(AsyncExitStack&& other) noexcept;
    ~AsyncExitStack();

    /// Enter a manager and leave it with the stack. Gives a reference to the entered value, or to
    /// the manager if there is none. What aenter throws is thrown here, and nothing is pushed.
    template <ContextManager M>
    task::Referred<task::Entered<M>> enter_context(M&& manager) {
        return task::Referred<task::Entered<M>>(
            enter(make_owned<task::StackedManager<M>>(std::forward<M>(manager))));
    }

    /// Leave a manager that was entered already.
    template <ContextManager M>
    void push_async_exit(M&& manager) {
        push(make_owned<task::StackedManager<M>>(std::forward<M>(manager)));
    }

    /// Call `f`, a coroutine function without parameters, when the stack is left.
    template <class F>
    void push_async_callback(F&& f) {
        static_assert(Awaitable<std::invoke_result_t<std::decay_t<F>&>>,
                      "push_async_callback needs a function that returns a coroutine; callback() "
                      "takes an ordinary one");
        push(make_owned<task::StackedCallback<std::decay_t<F>>>(std::forward<F>(f)));
    }
    /// Call `f`, an ordinary function without parameters, when the stack is left.
    template <class F>
    void callback(F&& f) {
        static_assert(!Awaitable<std::invoke_result_t<std::decay_t<F>&>>,
                      "callback takes an ordinary function; push_async_callback takes a coroutine");
        push(make_owned<task::StackedCallback<std::decay_t<F>>>(std::forward<F>(f)));
    }

    /// Everything moves to the stack that is returned; this one is empty.
    AsyncExitStack pop_all() noexcept { return std::move(*this); }

    /// Leave everything now, without an exception.
    Coro<> aclose();

    Coro<> aenter();
    Coro<bool> aexit(std::exception_ptr error);

  private:
    template <class M>
    Coro<task::Entered<M>*> enter(Owned<task::StackedManager<M>> manager) {
        task::Entered<M>* entered = co_await manager->enter();
        push(std::move(manager));
        co_return entered;
    }
    void push(Owned<task::StackedExit> exit) noexcept;
    Owned<task::StackedExit> pop() noexcept;

    Owned<task::StackedExit> last_;
};

}  // namespace asyncio
