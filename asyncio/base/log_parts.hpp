// SPDX-License-Identifier: MIT
//
// A line for the log that is put together of parts, for code that must not throw: destructors, the
// callbacks of the kernel, the end of a loop. Where there is no memory for the line, its beginning
// is logged.
#pragma once

#include <asyncio/base/log.hpp>

#include <initializer_list>
#include <string_view>

namespace asyncio {

/// The parts one after the other, as one line. Any thread.
void log_parts(LogLevel level, std::initializer_list<std::string_view> parts) noexcept;

}  // namespace asyncio
