// SPDX-License-Identifier: MIT
//
// The calls under sendfile. Thin, as in os/socket.hpp: results are >= 0 or -errno. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace asyncio::os {

/// Bytes that went from `file` at `offset` into `sock`, 0 at the end of the file; -EAGAIN when the
/// socket takes none now (it must be non-blocking). The file's position stays.
std::ptrdiff_t try_sendfile(int sock, int file, std::uint64_t offset, std::size_t count) noexcept;

/// True for the errors that mean that the system cannot do it for these two.
bool is_sendfile_unavailable(int errno_value) noexcept;

/// Blocks, as a disk does.
std::ptrdiff_t read_at(int file, std::uint64_t offset, std::span<std::byte> memory) noexcept;

}  // namespace asyncio::os
