// SPDX-License-Identifier: MIT
//
// with_cleanup(body, cleanup): try/finally with an await in the finally.
//
//     co_await asyncio::with_cleanup(body(), [&]() -> Coro<> { co_await release(); });
//
// `cleanup` runs after the body ended, in whatever way, cancellation included. The body's result or
// exception is then passed on; an exception of the clean-up replaces it. A cancellation that
// arrives during the clean-up interrupts the clean-up's own await, as in Python.
#pragma once

#include <asyncio/coro/error_trace.hpp>
#include <asyncio/task/as_outcome.hpp>

namespace asyncio {

namespace task {

template <class Body, class Cleanup>
Coro<AwaitResult<Body>> clean_up_after(Body body, Cleanup cleanup) {
    Outcome<AwaitResult<Body>> outcome = co_await outcome_of(std::move(body));
    const coro::TraceKeeper keeper(outcome.error());
    co_await call(cleanup);
    co_return outcome.take();
}

/// As a coroutine, so that what f itself throws is an outcome, too.
template <class F>
Coro<AwaitResult<std::invoke_result_t<F&>>> await_call(F& f) {
    co_return co_await call(f);
}

template <class F, class Cleanup>
Coro<AwaitResult<std::invoke_result_t<F&>>> call_and_clean_up(F f, Cleanup cleanup) {
    using Result = AwaitResult<std::invoke_result_t<F&>>;
    Outcome<Result> outcome = co_await outcome_of(await_call(f));
    const coro::TraceKeeper keeper(outcome.error());
    co_await call(cleanup);
    co_return outcome.take();
}

}  // namespace task

/// `body`: an awaitable, or a callable that returns one. `cleanup`: a callable that does.
template <class Body, class Cleanup>
ASYNCIO_CORO_WRAPPER auto with_cleanup(Body&& body, Cleanup&& cleanup) {
    static_assert(Awaitable<std::invoke_result_t<std::decay_t<Cleanup>&>>,
                  "with_cleanup needs a clean-up function that returns a coroutine");
    if constexpr (Awaitable<Body>)
        return task::clean_up_after(std::decay_t<Body>(std::forward<Body>(body)),
                                    std::decay_t<Cleanup>(std::forward<Cleanup>(cleanup)));
    else
        return task::call_and_clean_up(std::decay_t<Body>(std::forward<Body>(body)),
                                       std::decay_t<Cleanup>(std::forward<Cleanup>(cleanup)));
}

}  // namespace asyncio
