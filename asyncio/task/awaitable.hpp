// SPDX-License-Identifier: MIT
//
// What can be awaited, and what that gives.
#pragma once

#include <type_traits>
#include <utility>

#include <asyncio/coro/coro.hpp>

namespace asyncio {

namespace task {

template <class A>
decltype(auto) awaiter_of(A&& awaitable) {
    if constexpr (requires { std::forward<A>(awaitable).operator co_await(); })
        return std::forward<A>(awaitable).operator co_await();
    else
        return std::forward<A>(awaitable);
}

template <class T>
inline constexpr bool kIsCoroType = false;
template <class T>
inline constexpr bool kIsCoroType<Coro<T>> = true;
template <class A>
inline constexpr bool kIsCoro = kIsCoroType<std::remove_cvref_t<A>>;

}  // namespace task

/// A coroutine, a task, a future, or what lock.acquire() and the like return.
template <class A>
concept Awaitable = coro::ForDrivers<A>;

/// The type of `co_await std::move(a)`, as a value.
template <class A>
using AwaitResult = std::remove_cvref_t<
    decltype(task::awaiter_of(std::declval<std::remove_cvref_t<A>>()).await_resume())>;

}  // namespace asyncio
