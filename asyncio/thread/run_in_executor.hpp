// SPDX-License-Identifier: MIT
//
// loop.run_in_executor: a plain function in another thread, as a Future of this loop.
//
//     auto f = loop.run_in_executor(pool, crunch, std::move(data));
//     auto g = loop.run_in_executor(nullptr, crunch, 42);            // the loop's default pool
//     int n = co_await f;
//
// Function and arguments move to that thread, and are destroyed there when the function returns.
// The result or exception comes back. Cancelling the future (or a task that awaits it) keeps a
// function that has not started from starting; one that runs goes on, and what it returns is
// dropped.
//
// Threads: the loop's.
#pragma once

#include <asyncio/loop/event_loop.hpp>
#include <asyncio/thread/default_executor.hpp>
#include <asyncio/thread/executor.hpp>
#include <asyncio/thread/wrap_future.hpp>

namespace asyncio {

template <class F, class... Args>
auto EventLoop::run_in_executor(Executor& executor, F&& f, Args&&... args) {
    check_usable();
    return wrap_future(executor.submit(std::forward<F>(f), std::forward<Args>(args)...), *this);
}

template <class F, class... Args>
auto EventLoop::run_in_executor(Executor* executor, F&& f, Args&&... args) {
    check_usable();
    Executor& chosen = executor != nullptr ? *executor : service<thread::DefaultExecutor>().pool();
    return run_in_executor(chosen, std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace asyncio
