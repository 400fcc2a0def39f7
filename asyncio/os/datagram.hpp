// SPDX-License-Identifier: MIT
//
// The calls of datagram sockets, and the membership of multicast groups. Thin, as in os/socket.hpp:
// results are >= 0 or -errno. Any thread.
#pragma once

#include <cstddef>
#include <span>

namespace asyncio {
class SocketAddress;
}

namespace asyncio::os {

/// One datagram, also an empty one; `to` null: where the socket is connected to. Its bytes.
std::ptrdiff_t try_send_to(int fd, std::span<const std::byte> data,
                           const SocketAddress* to) noexcept;

/// One datagram, cut off at the end of `buffer`, and its sender.
std::ptrdiff_t try_receive_from(int fd, std::span<std::byte> buffer, SocketAddress& from) noexcept;

/// `interface`: its index, 0 for the system's choice.
int join_group(int fd, const SocketAddress& group, unsigned interface) noexcept;
int leave_group(int fd, const SocketAddress& group, unsigned interface) noexcept;

/// How many routers a multicast datagram may pass; whether this host gets it, too.
int set_multicast_ttl(int fd, int family, int ttl) noexcept;
int set_multicast_loop(int fd, int family, bool on) noexcept;
/// Where multicast datagrams go out.
int set_multicast_interface(int fd, int family, unsigned interface) noexcept;

/// 0 when there is none of that name.
unsigned interface_index(const char* name) noexcept;

}  // namespace asyncio::os
