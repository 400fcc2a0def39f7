// SPDX-License-Identifier: MIT
//
// What can be awaited, and what that gives.
#pragma once

#include <asyncio/coro/coro.hpp>

#include <type_traits>
#include <utility>

namespace asyncio {

namespace task {

template <class A>
decltype(auto) awaiter_of(A&& awaitable) {
    if constexpr (requires { std::forward<A>(awaitable).operator co_await(); })
        return std::forward<A>(awaitable).operator co_await();
    else
        return std::forward<A>(awaitable);
}

/// std::invoke, but allowed to return a Coro where ASYNCIO_STRICT_LIFETIMES is on.
template <class F, class... Args>
ASYNCIO_CORO_WRAPPER decltype(auto) call(F& f, Args&&... args) {
    return f(std::forward<Args>(args)...);
}
template <class Member, class Object, class... Args>
    requires std::is_member_function_pointer_v<Member>
ASYNCIO_CORO_WRAPPER decltype(auto) call(Member& member, Object&& object, Args&&... args) {
    if constexpr (requires { (object.*member)(std::forward<Args>(args)...); })
        return (object.*member)(std::forward<Args>(args)...);
    else if constexpr (requires { ((*object).*member)(std::forward<Args>(args)...); })
        return ((*object).*member)(std::forward<Args>(args)...);
    else
        return (object.get().*member)(std::forward<Args>(args)...);  // a reference_wrapper
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
