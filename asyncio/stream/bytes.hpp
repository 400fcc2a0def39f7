// SPDX-License-Identifier: MIT
//
// The bytes of a text, for what takes both. Not std::as_bytes: that asks more of the compiler than
// most of our headers, and everybody who includes us would pay for it.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace asyncio::stream {

inline std::span<const std::byte> bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

}  // namespace asyncio::stream
