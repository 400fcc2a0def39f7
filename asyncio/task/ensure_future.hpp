// SPDX-License-Identifier: MIT
//
// ensure_future: a future for anything that can be awaited. Futures and tasks are that themselves,
// everything else becomes a task. What gather, wait, as_completed and shield do with what they are
// given.
#pragma once

#include <asyncio/task/task.hpp>

namespace asyncio::task {

/// The loop of a future; the running one for other awaitables.
template <class A>
EventLoop* loop_of(const A& awaitable) {
    if constexpr (std::is_base_of_v<AnyFuture, A>)
        return &awaitable.get_loop();
    else
        return nullptr;
}

/// Nobody said where: the place of the coroutine itself is the next best.
template <class T>
Task<T> start_child(EventLoop& loop, Coro<T>&& coro) {
    const std::source_location where = coro.created();
    return start_coro(loop, std::move(coro), TaskOptions(), where);
}

std::vector<Ref<FutureCore>> room_for(std::size_t count);

/// Futures as they are, everything else as a new task.
template <class A>
Ref<FutureCore> ensure_future(EventLoop& loop, A&& awaitable) {
    if constexpr (std::is_base_of_v<AnyFuture, std::remove_cvref_t<A>>)
        return awaitable.ref();
    else
        return start_child(loop, as_coro(std::forward<A>(awaitable))).ref();
}

}  // namespace asyncio::task
