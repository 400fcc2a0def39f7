// SPDX-License-Identifier: MIT
//
// The names of the interfaces to the operating system, for those who only choose one.
#pragma once

#include <cstdint>

namespace asyncio {

/// Which interface to the operating system a loop uses. `automatic`: the environment variable
/// ASYNCIO_BACKEND (io_uring or epoll), else io_uring where it works, else epoll.
enum class Backend : std::uint8_t { automatic, io_uring, epoll };

}  // namespace asyncio
