// SPDX-License-Identifier: MIT
//
// NotGiven: a variadic function that still knows where it is called from.
//
// A std::source_location that is a default argument has to stand last, and behind a parameter pack
// it cannot: the pack would be empty. So a function with arguments to pass on has a fixed number of
// parameters, which default to NotGiven, and with_given() takes those that were given.
//
//     template <class F, class A1 = NotGiven, class A2 = NotGiven>
//     auto start(F&& f, A1&& a1 = NotGiven(nullptr), A2&& a2 = NotGiven(nullptr),
//                std::source_location where = std::source_location::current());
//
// This is in `base` because every room above has such functions.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace asyncio {

/// No braced list converts to it.
struct NotGiven {
    explicit constexpr NotGiven(std::nullptr_t) noexcept {}
};

template <class A>
inline constexpr bool kIsGiven = !std::is_same_v<std::remove_cvref_t<A>, NotGiven>;

/// use(args...), without those at the end that were not given.
template <class Use, class... Args>
decltype(auto) with_given(Use&& use, Args&&... args) {
    constexpr std::size_t kGiven = (std::size_t{0} + ... + std::size_t{kIsGiven<Args>});
    if constexpr (kGiven == 0) {
        return use();
    } else {
        const auto pass = [&use]<std::size_t... I>(auto all,
                                                   std::index_sequence<I...>) -> decltype(auto) {
            return use(std::get<I>(std::move(all))...);
        };
        return pass(std::forward_as_tuple(std::forward<Args>(args)...),
                    std::make_index_sequence<kGiven>());
    }
}

}  // namespace asyncio
