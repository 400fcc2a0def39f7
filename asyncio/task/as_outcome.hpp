// SPDX-License-Identifier: MIT
//
// as_outcome(x): await x and give what came of it as a value; nothing is thrown.
//
// For where a clean-up has to await: co_await is illegal in a catch block.
//
//     auto r = co_await asyncio::as_outcome(step());
//     if (!r) co_await recover(r.error());
//
// CancelledError is an outcome like any other here (`r.cancelled()`): whoever takes it this way has
// to pass it on, with `r.value()`, or has swallowed the cancellation.
#pragma once

#include <asyncio/task/awaitable.hpp>

namespace asyncio {

namespace task {

template <class A>
Coro<Outcome<AwaitResult<A>>> outcome_of(A awaitable) {
    Outcome<AwaitResult<A>> outcome;
    try {
        if constexpr (std::is_void_v<AwaitResult<A>>)
            co_await std::move(awaitable);
        else
            outcome.set_value(co_await std::move(awaitable));
    } catch (...) {
        outcome.set_error(std::current_exception());
    }
    co_return std::move(outcome);
}

}  // namespace task

template <Awaitable A>
ASYNCIO_CORO_WRAPPER auto as_outcome(A&& awaitable) {
    return task::outcome_of(std::decay_t<A>(std::forward<A>(awaitable)));
}

/// Says what is wrong.
template <class A>
    requires(!Awaitable<A>)
auto as_outcome(A&&) {
    static_assert(coro::kNever<A>, "as_outcome needs a coroutine, task, future or other awaitable");
}

}  // namespace asyncio
