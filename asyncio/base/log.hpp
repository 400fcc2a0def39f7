// SPDX-License-Identifier: MIT
//
// Where the library says what nobody asked for in an exception: errors without a taker, resources
// that were not closed, slow callbacks. One line each to standard error, unless a sink is set.
#pragma once

#include <cstdint>
#include <string_view>

namespace asyncio {

enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// Receives each line. May be called from any thread that runs a loop. Must not throw.
using LogSink = void (*)(LogLevel level, std::string_view text);

/// Replace the sink; null restores standard error. Returns the previous one (null: the default).
LogSink set_log_sink(LogSink sink) noexcept;

/// The default sink drops what is below `level` (initially warning).
void set_log_level(LogLevel level) noexcept;

void log(LogLevel level, std::string_view text) noexcept;

}  // namespace asyncio
