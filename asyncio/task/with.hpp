// SPDX-License-Identifier: MIT
//
// with(manager, body): Python's `async with`.
//
//     co_await asyncio::with(asyncio::TaskGroup(), [&](asyncio::TaskGroup& tg) -> Coro<> { ... });
//     int rows = co_await asyncio::with(pool.connect(), [&](Connection& c) { return c.count(); });
//
// A manager has `aenter()` and `aexit(std::exception_ptr)`, which return awaitables:
//   aenter    what it gives is the entered value; if that is void, the manager itself is.
//   aexit     is told how the body ended: null, or the exception (a CancelledError is one, too).
//             Gives a bool, true to swallow the exception, or nothing. What it throws replaces it.
// If aenter throws, neither body nor aexit run. The manager may also be an awaitable of a manager,
// as open() returns: it is awaited, then entered.
//
// The body gets the entered value by reference (or takes no argument) and returns an awaitable; its
// result is with's. When its exception was swallowed there is no result: a body that returns a
// std::optional then gives nullopt, and for any other type but void with() throws std::logic_error.
//
// Manager, value and body live in the frame of with(), in this order, and die in the other. A
// manager given as an lvalue stays where it is.
//
// Threads: the loop's. Cancellation: interrupts whatever of the three is running, as in Python.
#pragma once

#include <asyncio/coro/error_trace.hpp>
#include <asyncio/task/awaitable.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace asyncio {

/// An async context manager.
template <class M>
concept ContextManager = requires(std::remove_cvref_t<M>& m, std::exception_ptr e) {
    requires Awaitable<decltype(m.aenter())>;
    requires Awaitable<decltype(m.aexit(e))>;
};

namespace task {

/// What the body is given: the entered value, or the manager itself.
template <class M>
using EnteredResult = AwaitResult<decltype(std::declval<std::remove_cvref_t<M>&>().aenter())>;
template <class M>
using Entered =
    std::conditional_t<std::is_void_v<EnteredResult<M>>, std::remove_cvref_t<M>, EnteredResult<M>>;

template <class Body, class Value>
ASYNCIO_CORO_WRAPPER decltype(auto) call_with(Body& body, Value& value) {
    if constexpr (std::is_invocable_v<Body&, Value&>)
        return call(body, value);
    else
        return call(body);
}

template <class Body, class Value>
constexpr bool kTakesValue = std::is_invocable_v<Body&, Value&> || std::is_invocable_v<Body&>;

template <class Body, class Value>
using BodyResult = AwaitResult<decltype(call_with(std::declval<Body&>(), std::declval<Value&>()))>;

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

// GCC warns of coroutines whose parameters have types of an anonymous namespace, of all places here
// in our header. A manager of such a type is as good as any.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsubobject-linkage"
#endif

/// True if the manager swallows `error`.
template <class Manager>
Coro<bool> leave(Manager& manager, std::exception_ptr error) {
    if constexpr (std::is_void_v<AwaitResult<decltype(manager.aexit(error))>>) {
        co_await manager.aexit(error);
        co_return false;
    } else {
        const bool swallow = co_await manager.aexit(error);
        co_return swallow;
    }
}

/// Between aenter and the end.
template <class Manager, class Value, class Body>
Coro<BodyResult<Body, Value>> inside(Manager& manager, Value& value, Body& body) {
    using Result = BodyResult<Body, Value>;
    Outcome<Result> outcome;
    try {
        if constexpr (std::is_void_v<Result>)
            co_await call_with(body, value);
        else
            outcome.set_value(co_await call_with(body, value));
    } catch (...) {
        outcome.set_error(std::current_exception());
    }
    const coro::TraceKeeper keeper(outcome.error());
    const bool swallow = co_await leave(manager, outcome.error());
    if (swallow && outcome.error()) {
        if constexpr (std::is_void_v<Result>)
            co_return;
        else if constexpr (kIsOptional<Result>)
            co_return Result();
        else
            throw std::logic_error(
                "with(): the exception was swallowed, so there is no result; a body may return a "
                "std::optional");
    }
    co_return outcome.take();
}

/// `Manager` may be a reference.
template <class Manager, class Body>
Coro<BodyResult<Body, Entered<Manager>>> with_manager(Manager manager, Body body) {
    if constexpr (std::is_void_v<EnteredResult<Manager>>) {
        co_await manager.aenter();
        co_return co_await inside(manager, manager, body);
    } else {
        EnteredResult<Manager> value = co_await manager.aenter();
        co_return co_await inside(manager, value, body);
    }
}

template <class A, class Body>
Coro<BodyResult<Body, Entered<AwaitResult<A>>>> with_awaited(A awaitable, Body body) {
    AwaitResult<A> manager = co_await std::forward<A>(awaitable);
    co_return co_await with_manager<AwaitResult<A>&, Body&>(manager, body);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

template <class Body, class Manager>
constexpr auto check_body() {  // auto: instantiated at once, before anything else can fail
    static_assert(kTakesValue<Body, Entered<Manager>>,
                  "with() calls its body with the entered value by reference, or with nothing");
    static_assert(
        Awaitable<decltype(call_with(std::declval<Body&>(), std::declval<Entered<Manager>&>()))>,
        "with() needs a body that returns a coroutine: [&](...) -> Coro<> { ... }");
}

template <class A>
constexpr bool kGivesManager = false;
template <Awaitable A>
constexpr bool kGivesManager<A> = ContextManager<AwaitResult<A>>;

}  // namespace task

/// Run `body` inside `manager`.
template <class M, class Body>
ASYNCIO_CORO_WRAPPER auto with(M&& manager, Body&& body) {
    static_assert(ContextManager<M> || task::kGivesManager<M>,
                  "with() needs a manager with aenter() and aexit(std::exception_ptr), both "
                  "returning awaitables, or an awaitable of one");
    using HeldBody = std::decay_t<Body>;
    if constexpr (ContextManager<M>) {
        task::check_body<HeldBody, M>();
        return task::with_manager<M, HeldBody>(std::forward<M>(manager), std::forward<Body>(body));
    } else {
        task::check_body<HeldBody, AwaitResult<M>>();
        return task::with_awaited<M, HeldBody>(std::forward<M>(manager), std::forward<Body>(body));
    }
}

}  // namespace asyncio
