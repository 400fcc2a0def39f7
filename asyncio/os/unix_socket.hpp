// SPDX-License-Identifier: MIT
//
// What only sockets of the unix family can do: live in the file system, tell who their peer is,
// and carry descriptors. Thin calls as in os/socket.hpp: results are >= 0 or -errno. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace asyncio {

/// Who is at the other end of a unix socket: as of its connect() or listen().
struct PeerCredentials {
    int pid = -1;
    std::uint32_t uid = ~std::uint32_t{0};
    std::uint32_t gid = ~std::uint32_t{0};
    bool operator==(const PeerCredentials&) const = default;
};

}  // namespace asyncio

namespace asyncio::os {

/// Descriptors that one message carries at most (the system's SCM_MAX_FD).
inline constexpr std::size_t most_passed_descriptors = 253;

int peer_credentials(int fd, PeerCredentials& credentials) noexcept;

/// Send bytes (at least one) and descriptors, which stay the caller's, with them.
std::ptrdiff_t try_send_descriptors(int fd, std::span<const std::byte> data,
                                    std::span<const int> descriptors) noexcept;

/// Receive bytes and, at the front of `descriptors`, the descriptors that came with them:
/// close-on-exec, now the caller's. What does not fit is closed, and `truncated` says so.
struct Received {
    std::ptrdiff_t bytes = 0;  // 0 at the end of the stream, or -errno
    std::size_t descriptors = 0;
    bool truncated = false;
};
Received try_receive_descriptors(int fd, std::span<std::byte> data,
                                 std::span<int> descriptors) noexcept;

/// Receive bytes of a stream only. `truncated`: more than bytes came with them (descriptors,
/// credentials) and is gone; there the system ends a receive, whatever is behind it. A signal's
/// -EINTR is told.
Received receive_bytes_now(int fd, std::span<std::byte> data) noexcept;

/// Which file a path names; {0, 0} for none.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    bool operator==(const FileIdentity&) const = default;
};
FileIdentity identity_of(const std::string& path) noexcept;

/// Remove `path` if it is a socket; what is none, and nothing, is left alone.
int remove_stale_socket(const std::string& path) noexcept;
/// Remove `path` if it still is that file.
void remove_if_still(const std::string& path, FileIdentity identity) noexcept;

/// Permissions of a socket file, e.g. 0600. On the socket before bind(): it is born with at most
/// these. On the path afterwards: exactly these, whatever the umask.
int limit_permissions(int fd, unsigned permissions) noexcept;
int set_permissions(const std::string& path, unsigned permissions) noexcept;

}  // namespace asyncio::os
