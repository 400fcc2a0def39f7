// SPDX-License-Identifier: MIT
//
// loop.sock_*: single operations on sockets that stay the caller's.
//
//     std::string data = co_await loop.sock_recv(fd, 4096);
//     co_await loop.sock_sendall(fd, data);
//
// Each tries the system call at once and waits for readiness only if it has to. The socket may be
// a blocking one (no call here blocks), except in debug mode: std::invalid_argument, as in asyncio.
// It must be open until the operation has ended; one operation a direction waits at a time, on
// epoll a second one throws std::system_error (EBUSY). Errors are std::system_error.
//
//   sock_recv(fd, n)           up to n bytes, empty at the end of the stream
//   sock_recv_into(fd, span)   the same into the caller's memory, which must live until it ends
//   sock_recvfrom(fd, n)       a datagram and its sender; sock_recvfrom_into(fd, span, n = all)
//   sock_sendall(fd, data)     everything; after an error nobody knows how much. `data` must live
//   sock_sendto(fd, data, to)  one datagram
//   sock_connect(fd, address)  or (fd, host, port), looked up with the socket's own family
//   sock_accept(fd)            the new connection, non-blocking, and its peer's address
//
// Cancelling stops waiting; nothing is taken from, or given to, the socket after that. Threads: the
// loop's.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket_address.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace asyncio {

/// Descriptors that came over a unix socket, with the bytes they came with.
struct ReceivedDescriptors {
    ReceivedDescriptors() = default;
    ReceivedDescriptors(ReceivedDescriptors&&) noexcept = default;  // a vector would claim copies
    ReceivedDescriptors& operator=(ReceivedDescriptors&&) noexcept = default;

    std::string data;         // empty at the end of the stream
    std::vector<os::Fd> fds;  // close-on-exec
    bool truncated = false;   // more came than were asked for, and were closed
};

/// Pass descriptors, which stay the caller's, over a unix socket, with `data` (at least one byte).
/// As loop.sock_* in all else.
Coro<std::size_t> send_fds(int sock, std::span<const std::byte> data, std::vector<int> fds);
ASYNCIO_CORO_WRAPPER Coro<std::size_t> send_fds(int sock, std::string_view text,
                                                std::vector<int> fds);
Coro<ReceivedDescriptors> recv_fds(int sock, std::size_t n, std::size_t most_fds);

namespace net {

/// As asyncio: std::logic_error if a transport owns the socket, std::invalid_argument in debug mode
/// if it blocks.
void check_sock(const EventLoop& loop, int sock);

/// Makes a descriptor non-blocking for as long as it lives.
class NonBlocking {
  public:
    explicit NonBlocking(int fd) noexcept;
    NonBlocking(const NonBlocking&) = delete;
    NonBlocking& operator=(const NonBlocking&) = delete;
    ~NonBlocking();

  private:
    int fd_;
    bool blocked_;
};

/// Until `fd` is ready for `events` (POLLIN, POLLOUT). Throws std::system_error.
Coro<> wait_until_ready(int fd, unsigned events);

}  // namespace net
}  // namespace asyncio
