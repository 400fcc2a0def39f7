// SPDX-License-Identifier: MIT
//
// A failure of the operating system for code that must not throw: callbacks of the kernel, timers,
// destructors. They pass the error on as it is made here, and are done with it whatever happens.
#pragma once

#include <exception>
#include <string_view>

namespace asyncio {

/// What os::throw_system_error(errno_value, what) throws, not thrown. Where there is no memory for
/// its text, a std::bad_alloc. Any thread.
std::exception_ptr make_system_error(int errno_value, std::string_view what) noexcept;

}  // namespace asyncio
