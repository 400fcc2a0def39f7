// SPDX-License-Identifier: MIT
//
// Reading and writing what is no socket: pipes, terminals and other character devices that are
// non-blocking. Thin calls as in os/socket.hpp: results are >= 0 or -errno, EINTR is retried,
// SIGPIPE is never raised. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct iovec;

namespace asyncio::os {

enum class FileKind : std::uint8_t { none, pipe, socket, terminal, device, other };

/// `none`: none that can be looked at, errno says why. `other`: regular files, directories, block
/// devices.
FileKind kind_of(int fd) noexcept;

/// Both ends close-on-exec and non-blocking. 0 or -errno.
int make_pipe(int& read_end, int& write_end) noexcept;
/// The same, blocking: for a program that is to inherit an end.
int make_blocking_pipe(int& read_end, int& write_end) noexcept;

/// True if that is a descriptor.
bool is_open(int fd) noexcept;
bool is_nonblocking(int fd) noexcept;
int set_blocking(int fd) noexcept;

/// Another open file of the pipe or terminal that `fd` leads to, for reading or for writing,
/// non-blocking and close-on-exec. What is set on it does not show on `fd`, nor in the programs
/// that share it. -errno: also where /proc is missing, and -EACCES where `fd` was opened by
/// somebody with more rights.
int reopen_nonblocking(int fd, bool for_writing) noexcept;

/// True if `fd` was opened for that direction.
bool is_open_for(int fd, bool writing) noexcept;

/// As try_receive(). The hang-up of a terminal (EIO) is the end of the stream.
std::ptrdiff_t try_read(int fd, std::span<std::byte> buffer) noexcept;

/// As try_send(); -EPIPE when nobody can read it any more.
std::ptrdiff_t try_write(int fd, const iovec* buffers, std::size_t count) noexcept;

}  // namespace asyncio::os
