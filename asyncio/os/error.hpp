// SPDX-License-Identifier: MIT
//
// Failures of the operating system as exceptions: one shape for the whole library, a
// std::system_error whose what() reads "<what was attempted on what>: <the system's words>", for
// example "connect 127.0.0.1:1: Connection refused". The code is in std::generic_category(), so it
// compares with std::errc. Any thread.
#pragma once

#include <string_view>

namespace asyncio::os {

/// Throw for `errno_value`, a positive errno.
[[noreturn]] void throw_system_error(int errno_value, std::string_view what);

}  // namespace asyncio::os
