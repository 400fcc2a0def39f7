// SPDX-License-Identifier: MIT
//
// Option<T>: a value that may be left out, in the options and parameters of a call.
//
//     co_await asyncio::wait(tasks, {.timeout = 1s});
//     co_await asyncio::wait_for(work(), limit);        // a std::optional<Duration>, nullopt, 2s
//
// T is a small value: trivially destructible. It takes what std::optional<T> takes, and converts to
// one and from one. That one is what results are; but each T of it costs every compilation that
// includes us some five milliseconds, for special members that a small value does not need.
#pragma once

#include <cassert>
#include <optional>
#include <type_traits>
#include <utility>

namespace asyncio {

template <class T>
class Option {
  public:
    constexpr Option() noexcept = default;
    constexpr Option(std::nullopt_t) noexcept {}
    template <class U = T>
        requires(!std::is_same_v<std::remove_cvref_t<U>, Option> &&
                 requires(U&& value, void (&take)(T)) { take(std::forward<U>(value)); })
    constexpr Option(U&& value) noexcept : value_(std::forward<U>(value)), given_(true) {}
    template <class U>
    constexpr Option(const std::optional<U>& value) noexcept {
        if (value) *this = Option(*value);
    }

    constexpr bool has_value() const noexcept { return given_; }
    constexpr explicit operator bool() const noexcept { return given_; }
    /// REQUIRES: there is one.
    constexpr const T& operator*() const noexcept {
        assert(given_);
        return value_;
    }
    constexpr const T* operator->() const noexcept { return &**this; }
    /// Throws std::bad_optional_access if there is none.
    constexpr const T& value() const {
        if (!given_) throw std::bad_optional_access();
        return value_;
    }
    constexpr T value_or(T otherwise) const noexcept { return given_ ? value_ : otherwise; }

    /// (A template, so that looking for conversions makes no compiler look into std::optional<T>.)
    template <class Optional>
        requires std::is_same_v<Optional, std::optional<T>>
    constexpr operator Optional() const noexcept {
        return given_ ? Optional(value_) : Optional();
    }
    constexpr void reset() noexcept { given_ = false; }
    friend constexpr bool operator==(const Option& a, const Option& b) noexcept {
        return a.given_ == b.given_ && (!a.given_ || a.value_ == b.value_);
    }

  private:
    T value_{};
    bool given_ = false;
};

}  // namespace asyncio
