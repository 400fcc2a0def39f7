// SPDX-License-Identifier: MIT
//
// A range of awaitables, as gather(), wait() and as_completed() take it; and map(), which makes
// one:
//
//     auto pages = co_await asyncio::gather(asyncio::map(urls, download));
//
// The elements are taken out once, in order, before anything starts: copied from an lvalue (handles
// of tasks), moved from a range that was moved in. <ranges> is not needed for that, and not
// included.
#pragma once

#include <asyncio/task/task.hpp>

#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

namespace task {

template <class R>
concept Range = requires(R& range) {
    std::begin(range) != std::end(range);
    ++std::declval<decltype(std::begin(range))&>();
};
template <Range R>
using ElementOf = std::remove_cvref_t<decltype(*std::begin(std::declval<R&>()))>;
template <class R>
concept RangeOfAwaitables = Range<R> && Awaitable<ElementOf<R>> && !Awaitable<R>;

/// The elements, in order: copied from an lvalue, moved from a range that was moved in.
template <class R>
std::vector<ElementOf<R>> elements(R&& range) {
    using Element = decltype(*std::begin(range));
    static_assert(!(std::is_lvalue_reference_v<R> && std::is_lvalue_reference_v<Element>) ||
                      std::is_copy_constructible_v<ElementOf<R>>,
                  "coroutines are awaited once: move the range in, with std::move(range)");
    std::vector<ElementOf<R>> items;
    for (auto&& item : range) {
        if constexpr (std::is_lvalue_reference_v<R>)
            items.push_back(std::forward<Element>(item));
        else
            items.push_back(std::move(item));
    }
    return items;
}

}  // namespace task

/// f(item) of each: the coroutines, not started yet, in a vector. Each keeps a copy of its item and
/// of f in its frame, so that f may capture, and take its argument by reference.
template <task::Range R, class F>
    requires Awaitable<std::invoke_result_t<F&, task::ElementOf<R>>>
auto map(R&& range, F f) {
    using Item = task::ElementOf<R>;
    std::vector<Coro<AwaitResult<std::invoke_result_t<F&, Item>>>> coroutines;
    for (auto&& item : range) coroutines.push_back(task::call_it<F, Item>(f, Item(item)));
    return coroutines;
}

}  // namespace asyncio
