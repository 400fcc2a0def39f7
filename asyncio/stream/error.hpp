// SPDX-License-Identifier: MIT
//
// What reading from a stream can fail with.
#pragma once

#include <asyncio/base/option.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

namespace asyncio {

/// The stream ended before what was asked for was complete.
class IncompleteReadError final : public std::runtime_error {
  public:
    IncompleteReadError(std::string partial, Option<std::size_t> expected);

    /// What had arrived; taken out of the stream.
    const std::string& partial() const noexcept { return partial_; }
    /// How many bytes were asked for; nullopt when reading up to a separator.
    std::optional<std::size_t> expected() const noexcept;

  private:
    std::string partial_;
    Option<std::size_t> expected_;
};

/// A separator did not come within the stream's limit. The data stays in the stream.
class LimitOverrunError final : public std::runtime_error {
  public:
    LimitOverrunError(const std::string& message, std::size_t consumed)
        : std::runtime_error(message), consumed_(consumed) {}

    /// Bytes that can be read and dropped without missing a separator.
    std::size_t consumed() const noexcept { return consumed_; }

  private:
    std::size_t consumed_;
};

}  // namespace asyncio
