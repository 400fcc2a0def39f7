// SPDX-License-Identifier: MIT
#include <asyncio/stream/error.hpp>

#include <utility>

namespace asyncio {

IncompleteReadError::IncompleteReadError(std::string partial, Option<std::size_t> expected)
    : std::runtime_error(std::to_string(partial.size()) + " bytes read on a total of " +
                         (expected ? std::to_string(*expected) : "undefined") + " expected bytes"),
      partial_(std::move(partial)),
      expected_(expected) {}

std::optional<std::size_t> IncompleteReadError::expected() const noexcept { return expected_; }

}  // namespace asyncio
