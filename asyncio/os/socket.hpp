// SPDX-License-Identifier: MIT
//
// The socket system calls, one thin function each. Every descriptor made here is close-on-exec
// and non-blocking; no call blocks; EINTR is retried; SIGPIPE is never raised.
//
// Results are the system's own: >= 0, or -errno. Who knows what was attempted on what makes the
// sentence of it (os/error.hpp). Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct iovec;

namespace asyncio {
class SocketAddress;
}

namespace asyncio::os {

int stream_socket(int family) noexcept;
int datagram_socket(int family) noexcept;

int bind(int fd, const SocketAddress& address) noexcept;
int listen(int fd, int backlog) noexcept;

/// Begin to connect: 0 when done at once, -EINPROGRESS when it goes on.
int connect(int fd, const SocketAddress& address) noexcept;

int local_address(int fd, SocketAddress& address) noexcept;
int peer_address(int fd, SocketAddress& address) noexcept;

enum class SocketOption : std::uint8_t {
    no_delay,        // TCP_NODELAY
    reuse_address,   // SO_REUSEADDR
    reuse_port,      // SO_REUSEPORT
    ipv6_only,       // IPV6_V6ONLY
    broadcast,       // SO_BROADCAST
    keep_alive,      // SO_KEEPALIVE
    linger_reset,    // SO_LINGER with 0 s: close() sends a reset; write-only
    send_buffer,     // SO_SNDBUF, bytes (the system doubles it)
    receive_buffer,  // SO_RCVBUF
};

int set_option(int fd, SocketOption option, int value) noexcept;
int get_option(int fd, SocketOption option) noexcept;  // the value, or -errno
/// By the system's names, for values that are an int (and may be negative).
int set_option(int fd, int level, int name, int value) noexcept;
int get_option(int fd, int level, int name, int& value) noexcept;

/// These are false also for what is no socket.
bool is_stream_socket(int fd) noexcept;
bool is_unix_socket(int fd) noexcept;
bool is_unix_stream_socket(int fd) noexcept;
bool is_datagram_socket(int fd) noexcept;

enum class Shutdown : std::uint8_t { read, write, both };

int shutdown(int fd, Shutdown how) noexcept;

/// For descriptors made elsewhere: those made here are so already.
int set_nonblocking(int fd) noexcept;

/// The pending error of a socket as a positive errno, taken away from it; 0 for none.
int take_socket_error(int fd) noexcept;

/// Bytes taken (may be short), or -errno; -EAGAIN when the socket takes none now.
std::ptrdiff_t try_send(int fd, std::span<const std::byte> data) noexcept;
/// The same for whoever can come back: -EINTR is told, too. It is not expected of a call that does
/// not wait, and to be prepared for it costs as much as the rest.
std::ptrdiff_t send_now(int fd, std::span<const std::byte> data) noexcept;
std::ptrdiff_t receive_now(int fd, std::span<std::byte> buffer) noexcept;
std::ptrdiff_t try_send(int fd, const iovec* buffers, std::size_t count) noexcept;

/// Bytes received, 0 at the end of the stream, or -errno; -EAGAIN when nothing is there.
std::ptrdiff_t try_receive(int fd, std::span<std::byte> buffer) noexcept;

/// A new connection's descriptor, or -errno.
int try_accept(int fd) noexcept;

/// True for an error of accept that concerns only the connection that was about to be accepted
/// (catalogue D2): the listener goes on.
bool is_transient_accept_error(int errno_value) noexcept;

}  // namespace asyncio::os
