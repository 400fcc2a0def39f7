// SPDX-License-Identifier: MIT
//
// A port of TCP or UDP. Made of any integer, which is checked: 99999 would become 34463 as a
// std::uint16_t. A bool or a character stood in another argument's place.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

namespace asyncio {

class Port {
    template <typename T, typename... Others>
    static constexpr bool one_of = (std::same_as<T, Others> || ...);

  public:
    /// std::out_of_range unless 0 <= number <= 65535. 0: the system chooses, or any.
    template <std::integral I>
        requires(!one_of<I, bool, char, wchar_t, char8_t, char16_t, char32_t>)
    constexpr Port(I number) : number_(static_cast<std::uint16_t>(number)) {
        if (number_ != number) throw_out_of_range();
    }

    /// What a user typed: std::invalid_argument, which quotes it, unless it is such a number.
    explicit Port(std::string_view text);

    constexpr std::uint16_t number() const noexcept { return number_; }

    constexpr bool operator==(const Port&) const noexcept = default;

  private:
    [[noreturn]] static void throw_out_of_range();

    std::uint16_t number_;
};

}  // namespace asyncio
