// SPDX-License-Identifier: MIT
//
// to_thread: await a plain function that blocks, in a thread of the loop's default pool.
//
//     std::string text = co_await asyncio::to_thread(read_all, path);
//     int n = co_await asyncio::to_thread([&] { return crunch(data); });
//
// Nothing happens before it is awaited. Function and arguments move to the thread; what the
// function refers to must live until it returns, also when the await is cancelled: then the caller
// goes on at once, a function that waits for a thread never starts, and one that runs goes on
// unobserved.
//
// The function runs in a copy of the context the await runs in; that of run_in_executor does not.
//
// Threads: awaited in a task of any loop.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/task/awaitable.hpp>
#include <asyncio/thread/run_in_executor.hpp>

#include <type_traits>
#include <utility>

namespace asyncio {

namespace thread {

/// `F` called in a context it brings along.
template <class F>
class InContext {
  public:
    InContext(ContextSlot context, F&& f) : context_(std::move(context)), f_(std::move(f)) {}

    template <class... Args>
    decltype(auto) operator()(Args&&... args) {
        const ContextScope scope(context_);
        return task::call(f_, std::forward<Args>(args)...);
    }

  private:
    ContextSlot context_;
    F f_;
};

template <class T, class F, class... Args>
Coro<T> call_in_thread(F f, Args... args) {
    EventLoop& loop = get_running_loop();
    InContext<F> work(ContextSlot::copy_current(), std::move(f));
    auto future = loop.run_in_executor(nullptr, std::move(work), std::move(args)...);
    co_return co_await std::move(future);
}

}  // namespace thread

template <class F, class... Args>
ASYNCIO_CORO_WRAPPER auto to_thread(F&& f, Args&&... args) {
    using T = typename thread::CallResult<F, Args...>::type;
    return thread::call_in_thread<T, std::decay_t<F>, std::decay_t<Args>...>(
        std::forward<F>(f), std::forward<Args>(args)...);
}

}  // namespace asyncio
