// SPDX-License-Identifier: MIT
//
// wait_for: await something, but not for longer than a given time.
//
//     int r = co_await asyncio::wait_for(slow(), 1s);      // throws asyncio::TimeoutError
//
// A coroutine runs inside the calling task. On expiry the awaitable is cancelled, and wait_for
// returns only when it has really ended; what it then returns or throws, instead of giving way to
// the cancellation, wins over TimeoutError. Cancelling wait_for cancels the awaitable.
// std::nullopt waits without limit. Zero or less: a done future's result; a coroutine never starts.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/timeout.hpp>

namespace asyncio {

namespace task {

template <class A>
Coro<AwaitResult<A>> wait_within(A awaitable, Duration limit) {
    Outcome<AwaitResult<A>> outcome;
    Timeout scope = timeout(limit);
    scope.enter();
    try {
        if constexpr (std::is_void_v<AwaitResult<A>>)
            co_await std::move(awaitable);
        else
            outcome.set_value(co_await std::move(awaitable));
    } catch (...) {
        outcome.set_error(std::current_exception());
    }
    scope.leave(outcome.error());
    co_return outcome.take();
}

/// No time at all, a future: only what is done already counts.
template <class F>
Coro<AwaitResult<F>> wait_without_time(F future) {
    if (!future.done()) {
        const AnyTask self = current_task();
        const std::uint32_t requests = self.cancelling();
        future.cancel();
        Outcome<AwaitResult<F>> outcome = co_await outcome_of(future);
        if (outcome.cancelled() && self.cancelling() <= requests)
            throw TimeoutError(outcome.error());
        co_return outcome.take();
    }
    co_return co_await std::move(future);
}

/// No time at all, work that has not begun: it never does.
template <class A>
Coro<AwaitResult<A>> out_of_time(A awaitable) {
    if constexpr (kIsCoro<A>) const coro::FrameOwner dropped(&awaitable.release());
    Outcome<AwaitResult<A>> outcome(std::make_exception_ptr(TimeoutError()));
    co_return outcome.take();
}

}  // namespace task

template <Awaitable A>
ASYNCIO_CORO_WRAPPER auto wait_for(A&& awaitable, Option<Duration> limit) {
    using Held = std::decay_t<A>;
    if (limit && *limit <= Duration::zero()) {
        if constexpr (std::is_base_of_v<AnyFuture, Held>)
            return task::wait_without_time<Held>(std::forward<A>(awaitable));
        else
            return task::out_of_time<Held>(std::forward<A>(awaitable));
    }
    if (!limit) return task::await_it<Held>(std::forward<A>(awaitable));
    return task::wait_within<Held>(std::forward<A>(awaitable), *limit);
}

/// Says what is wrong.
template <class A>
    requires(!Awaitable<A>)
auto wait_for(A&&, Option<Duration>) {
    static_assert(coro::kNever<A>, "wait_for needs a coroutine, task, future or other awaitable");
}

}  // namespace asyncio
