// SPDX-License-Identifier: MIT
//
// Inotify: the system tells what happens to files, as records that are read from a descriptor
// (inotify(7) has their form and the bits). Thin calls as in os/socket.hpp: results are >= 0 or
// -errno, EINTR is retried. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace asyncio::os {

/// A new instance, non-blocking and close-on-exec.
int open_inotify() noexcept;

/// The number of the watch. May block: it looks the path up.
int add_watch(int fd, const char* path, std::uint32_t what) noexcept;

int remove_watch(int fd, int watch) noexcept;

/// Whole records only; -EAGAIN: there are none, -EINVAL: the first has no room in `buffer`.
std::ptrdiff_t read_records(int fd, std::span<std::byte> buffer) noexcept;

/// Of records that wait to be read.
std::size_t unread_bytes(int fd) noexcept;

}  // namespace asyncio::os
