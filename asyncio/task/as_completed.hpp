// SPDX-License-Identifier: MIT
//
// as_completed: the results of many, in the order in which they come.
//
//     for (auto it = asyncio::as_completed(tasks); auto next = co_await it.next();)
//         use(co_await *next);
//
// `tasks` is a range as for wait(): tasks and futures are given back themselves, each once;
// coroutines become tasks, which start now. next() gives the next one that is done, std::nullopt
// after the last; its result or exception is had by awaiting it, and no exception ends the
// iteration. next() may be called ahead and from several tasks: each call that is awaited gives
// another one. With a timeout, each step that is still missing when it is over throws TimeoutError.
// Nothing is ever cancelled: dropping the iterator leaves the rest running, and a next() that is
// cancelled takes nothing.
//
// Errors: std::logic_error without a running loop, std::invalid_argument for a future of another.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/task/wait.hpp>

#include <optional>
#include <vector>

namespace asyncio {

namespace task {

/// What is shared by an iterator and its steps.
class CompletionOrder final : public RefCounted {
  public:
    CompletionOrder(EventLoop& loop, std::vector<Ref<FutureCore>> futures,
                    Option<Duration> timeout);
    ~CompletionOrder();

    /// The next that is done, null after the last; TimeoutError when the time is up.
    static Coro<Ref<FutureCore>> next(Ref<CompletionOrder> self);

    void destroy() noexcept { delete this; }

  private:
    std::vector<Ref<FutureCore>> futures_;
    Ref<CompletionWatch> watch_;
    std::size_t taken_ = 0;   // of those that finished
    std::size_t missed_ = 0;  // steps that threw TimeoutError
};

}  // namespace task

template <class Handle>
class [[nodiscard]] AsCompleted {
  public:
    explicit AsCompleted(Ref<task::CompletionOrder> order) noexcept : order_(std::move(order)) {}

    ASYNCIO_CORO_WRAPPER Coro<std::optional<Handle>> next() const { return next_handle(order_); }

  private:
    static Coro<std::optional<Handle>> next_handle(Ref<task::CompletionOrder> order) {
        std::optional<Handle> handle;
        Ref<task::FutureCore> future = co_await task::CompletionOrder::next(std::move(order));
        if (future) handle.emplace(task::to_handle<Handle>(std::move(future)));
        co_return handle;
    }

    Ref<task::CompletionOrder> order_;
};

template <task::RangeOfAwaitables R>
auto as_completed(R&& awaitables, Option<Duration> timeout = {}) {
    EventLoop& loop = get_running_loop();
    auto futures = task::start_distinct(loop, task::elements(std::forward<R>(awaitables)));
    return AsCompleted<task::HandleFor<task::ElementOf<R>>>(
        Ref<task::CompletionOrder>(new task::CompletionOrder(loop, std::move(futures), timeout)));
}

}  // namespace asyncio
