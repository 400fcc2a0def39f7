// SPDX-License-Identifier: MIT
//
// wait: suspend until some or all of many futures are done.
//
//     auto [done, pending] = co_await asyncio::wait(tasks, {.timeout = 1s});
//     auto [first, rest] = co_await asyncio::wait(tasks, {.return_when =
//     asyncio::FIRST_COMPLETED});
//
// `tasks` is any range: of tasks or futures of one type, of AnyTask or AnyFuture for different
// ones, or of coroutines (moved in), which become tasks. The two vectors hold the same handles,
// each once, in the order given; what is done when the waiter resumes is in `done`. Nothing a child
// throws is raised here, and nothing is ever cancelled: not when the time is up, and not when the
// waiting task is.
//
// Errors: std::invalid_argument for an empty range, for a future of another loop.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/task/awaitable_range.hpp>
#include <asyncio/task/completion_watch.hpp>
#include <asyncio/task/ensure_future.hpp>
#include <asyncio/task/task.hpp>

#include <vector>

namespace asyncio {

struct WaitOptions {
    Option<Duration> timeout = {};
    ReturnWhen return_when = ALL_COMPLETED;
};

template <class Handle>
struct WaitResult {
    std::vector<Handle> done;
    std::vector<Handle> pending;
};

namespace task {

/// What stands for an awaitable once it runs: futures for themselves, others' tasks.
template <class A, bool IsFuture = std::is_base_of_v<AnyFuture, A>>
struct HandleTo {
    using type = Task<AwaitResult<A>>;
};
template <class A>
struct HandleTo<A, true> {
    using type = A;
};
template <class A>
using HandleFor = typename HandleTo<A>::type;

void check_wait(std::size_t count, const WaitOptions& options);

template <class A>
std::vector<Ref<FutureCore>> start_distinct(EventLoop& loop, std::vector<A> items) {
    auto futures = room_for(items.size());
    for (A& item : items) futures.push_back(ensure_future(loop, std::move(item)));
    CompletionWatch::make_distinct(futures);
    return futures;
}

/// A handle of the given type, back from the reference.
template <class Handle>
Handle to_handle(Ref<FutureCore> future) {
    if constexpr (std::is_same_v<Handle, AnyTask>)
        return AnyTask(static_cast<TaskCore*>(future.get()));
    else
        return Handle(std::move(future));
}

Coro<> wait_until(std::vector<Ref<FutureCore>>& futures, WaitOptions options);

template <class A>
Coro<WaitResult<HandleFor<A>>> wait_for_all(std::vector<A> items, WaitOptions options) {
    check_wait(items.size(), options);
    WaitResult<HandleFor<A>> result;
    auto futures = start_distinct(get_running_loop(), std::move(items));
    co_await wait_until(futures, options);
    for (Ref<FutureCore>& future : futures) {
        auto& part = future->done() ? result.done : result.pending;
        part.push_back(to_handle<HandleFor<A>>(std::move(future)));
    }
    co_return result;
}

}  // namespace task

template <task::RangeOfAwaitables R>
ASYNCIO_CORO_WRAPPER auto wait(R&& awaitables, WaitOptions options = {}) {
    return task::wait_for_all<task::ElementOf<R>>(task::elements(std::forward<R>(awaitables)),
                                                  options);
}

}  // namespace asyncio
