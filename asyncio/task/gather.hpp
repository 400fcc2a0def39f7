// SPDX-License-Identifier: MIT
//
// gather: run things concurrently and take all their results, in argument order.
//
//     auto [pasta, salad] = co_await asyncio::gather(chef("pasta", 3s), chef("salad", 2s));
//     std::vector<std::string> soups = co_await asyncio::gather(std::move(coroutines));
//     auto pages = co_await asyncio::gather(asyncio::map(urls, download));
//     auto both = co_await asyncio::gather(asyncio::return_exceptions, a(), b());
//
// Coroutines become tasks, started in argument order. The first exception is raised at once; the
// others run on, and what they throw later counts as seen. With return_exceptions each element is
// an Outcome and nothing is raised. Cancelling the gather cancels all. A void result is a
// std::monostate. Use a TaskGroup where a failure should stop the siblings.
#pragma once

#include <asyncio/task/awaitable_range.hpp>
#include <asyncio/task/ensure_future.hpp>
#include <asyncio/task/gather_core.hpp>
#include <asyncio/task/task.hpp>

#include <array>
#include <tuple>
#include <variant>
#include <vector>

namespace asyncio {

struct ReturnExceptions {
    explicit ReturnExceptions() = default;
};
inline constexpr ReturnExceptions return_exceptions{};

namespace task {

template <class T, bool Outcomes>
using Gathered = std::conditional_t<Outcomes, Outcome<T>,
                                    std::conditional_t<std::is_void_v<T>, std::monostate, T>>;

/// The result of a child that is done; with Outcomes its failure, too.
template <class T, bool Outcomes>
Gathered<T, Outcomes> gathered(FutureCore& child) {
    if constexpr (Outcomes) {
        if (child.cancelled()) return Outcome<T>(child.cancelled_error());
        if (std::exception_ptr error = child.exception()) return Outcome<T>(std::move(error));
    }
    if constexpr (std::is_void_v<T>)
        return {};
    else
        return take_result<T>(child);
}

template <bool Outcomes, class... Ts>
class GatherTuple final : public WithResult<std::tuple<Gathered<Ts, Outcomes>...>, GatherCore> {
    using Result = std::tuple<Gathered<Ts, Outcomes>...>;

  public:
    explicit GatherTuple(loop::Core& core) : WithResult<Result, GatherCore>(core) {}

  private:
    void collect() override { collect_all(std::index_sequence_for<Ts...>()); }
    template <std::size_t... I>
    void collect_all(std::index_sequence<I...>) {
        this->emplace_result(gathered<Ts, Outcomes>(this->child(I))...);
    }
};

template <bool Outcomes, class T>
class GatherVector final : public WithResult<std::vector<Gathered<T, Outcomes>>, GatherCore> {
    using Result = std::vector<Gathered<T, Outcomes>>;

  public:
    explicit GatherVector(loop::Core& core) : WithResult<Result, GatherCore>(core) {}

  private:
    void collect() override {
        Result results;
        results.reserve(this->size());
        for (std::size_t i = 0; i < this->size(); ++i)
            results.push_back(gathered<T, Outcomes>(this->child(i)));
        this->emplace_result(std::move(results));
    }
};

/// If gather cannot begin (out of memory, a future of another loop), the tasks it has made already
/// never do: what they refer to goes with the caller's frame.
template <class... As>
void cancel_made(const std::array<Ref<FutureCore>, sizeof...(As)>& children) {
    const std::array<bool, sizeof...(As)> made{
        !std::is_base_of_v<AnyFuture, std::remove_cvref_t<As>>...};
    for (std::size_t i = 0; i < children.size(); ++i)
        if (made[i] && children[i]) children[i]->cancel({});
}

template <bool Outcomes, class... As>
auto gather_all(As&&... awaitables) {
    using State = GatherTuple<Outcomes, AwaitResult<As>...>;
    EventLoop* loop = nullptr;
    ((loop = loop != nullptr ? loop : loop_of(awaitables)), ...);
    if (loop == nullptr) loop = &get_running_loop();
    Ref<State> state(new State(loop->core()));
    std::array<Ref<FutureCore>, sizeof...(As)> children;
    try {
        std::size_t next = 0;
        ((children[next++] = ensure_future(*loop, std::forward<As>(awaitables))), ...);
        state->start(children, Outcomes);
    } catch (...) {
        cancel_made<As...>(children);
        throw;
    }
    return Future<std::tuple<Gathered<AwaitResult<As>, Outcomes>...>>(
        Ref<FutureCore>(std::move(state)));
}

template <bool Outcomes, class A>
auto gather_range(std::vector<A> awaitables) {
    using State = GatherVector<Outcomes, AwaitResult<A>>;
    EventLoop* loop = awaitables.empty() ? nullptr : loop_of(awaitables.front());
    if (loop == nullptr) loop = &get_running_loop();
    Ref<State> state(new State(loop->core()));
    auto children = room_for(awaitables.size());
    try {
        for (A& awaitable : awaitables)
            children.push_back(ensure_future(*loop, std::move(awaitable)));
        awaitables.clear();
        state->start(children, Outcomes);
    } catch (...) {
        for (const Ref<FutureCore>& child : children)
            if (!std::is_base_of_v<AnyFuture, A> && child) child->cancel({});
        throw;
    }
    return Future<std::vector<Gathered<AwaitResult<A>, Outcomes>>>(
        Ref<FutureCore>(std::move(state)));
}

}  // namespace task

template <Awaitable... As>
auto gather(As&&... awaitables) {
    return task::gather_all<false>(std::forward<As>(awaitables)...);
}

template <Awaitable... As>
auto gather(ReturnExceptions, As&&... awaitables) {
    return task::gather_all<true>(std::forward<As>(awaitables)...);
}

/// Says what is wrong.
template <class... As>
    requires(!(Awaitable<As> && ...))
auto gather(As&&...) {
    static_assert(
        coro::kNever<As...>,
        "gather needs coroutines, tasks, futures or other awaitables, or a range of them");
}

template <Awaitable A>
auto gather(std::vector<A> awaitables) {
    return task::gather_range<false>(std::move(awaitables));
}

template <Awaitable A>
auto gather(ReturnExceptions, std::vector<A> awaitables) {
    return task::gather_range<true>(std::move(awaitables));
}

/// Of any other range: an array, a list, a view.
template <task::RangeOfAwaitables R>
auto gather(R&& awaitables) {
    return task::gather_range<false>(task::elements(std::forward<R>(awaitables)));
}

template <task::RangeOfAwaitables R>
auto gather(ReturnExceptions, R&& awaitables) {
    return task::gather_range<true>(task::elements(std::forward<R>(awaitables)));
}

}  // namespace asyncio
