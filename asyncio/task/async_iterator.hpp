// SPDX-License-Identifier: MIT
//
// AsyncIterator: anything with next() that gives an awaitable of an optional; and what one does
// with any of them.
//
//     auto first = asyncio::take(asyncio::filter(reader.lines(), not_blank), 10);
//     while (auto line = co_await first.next()) use(*line);
//     std::vector<int> all = co_await asyncio::collect(countdown(3));
//
// Generators, a reader's lines(), as_completed, listings, rows. The functions take the iterator by
// value (move a generator in) and give a generator; f may be a coroutine function. An exception of
// the iterator or of f ends the whole.
#pragma once

#include <asyncio/task/async_generator.hpp>
#include <asyncio/task/awaitable.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

namespace asyncio {

template <class I>
concept AsyncIterator = requires(I& iterator) {
    { iterator.next() } -> Awaitable;
    static_cast<bool>(std::declval<AwaitResult<decltype(iterator.next())>&>());
    *std::declval<AwaitResult<decltype(iterator.next())>>();
};

namespace task {

template <class T>
struct Item {
    using type = T;
};
template <class T>
struct Item<T&&> {
    using type = T;
};

/// The result of f, or what awaiting it gives.
template <class F, class T>
struct Mapped {
    using type = std::invoke_result_t<F&, T>;
};
template <class F, class T>
    requires Awaitable<std::invoke_result_t<F&, T>>
struct Mapped<F, T> {
    using type = AwaitResult<std::invoke_result_t<F&, T>>;
};

}  // namespace task

/// What an asynchronous iterator gives: a value, or a reference.
template <AsyncIterator I>
using AsyncItem = typename task::Item<
    decltype(*std::declval<AwaitResult<decltype(std::declval<I&>().next())>>())>::type;

/// The first n items; the iterator is asked for no more.
template <AsyncIterator I>
AsyncGenerator<AsyncItem<I>> take(I iterator, std::size_t n) {
    for (; n > 0; --n) {
        auto item = co_await iterator.next();
        if (!item) co_return;
        co_yield *std::move(item);
    }
}

/// f(item) of each.
template <AsyncIterator I, class F>
AsyncGenerator<typename task::Mapped<F, AsyncItem<I>>::type> map(I iterator, F f) {
    while (auto item = co_await iterator.next()) {
        if constexpr (Awaitable<std::invoke_result_t<F&, AsyncItem<I>>>) {
            auto mapped = co_await f(*std::move(item));
            co_yield std::move(mapped);
        } else {
            co_yield f(*std::move(item));
        }
    }
}

/// Those for which predicate(item) holds.
template <AsyncIterator I, class F>
AsyncGenerator<AsyncItem<I>> filter(I iterator, F predicate) {
    while (auto item = co_await iterator.next()) {
        if constexpr (Awaitable<std::invoke_result_t<F&, decltype(*item)>>) {
            const bool holds = co_await predicate(*item);
            if (holds) co_yield *std::move(item);
        } else {
            if (predicate(*item)) co_yield *std::move(item);
        }
    }
}

/// Pairs of a number, from `start`, and the item.
template <AsyncIterator I>
AsyncGenerator<std::pair<std::size_t, AsyncItem<I>>> enumerate(I iterator, std::size_t start = 0) {
    while (auto item = co_await iterator.next()) {
        std::pair<std::size_t, AsyncItem<I>> numbered(start++, *std::move(item));
        co_yield std::move(numbered);
    }
}

/// All of them, in a vector.
template <AsyncIterator I>
Coro<std::vector<std::remove_cvref_t<AsyncItem<I>>>> collect(I iterator) {
    std::vector<std::remove_cvref_t<AsyncItem<I>>> items;
    while (auto item = co_await iterator.next()) items.push_back(*std::move(item));
    co_return items;
}

}  // namespace asyncio
