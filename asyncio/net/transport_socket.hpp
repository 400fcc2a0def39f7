// SPDX-License-Identifier: MIT
//
// TransportSocket: what one may see of, and change on, a socket that belongs to a transport, an
// endpoint or a server: names, options, credentials. Not its bytes, its mode or its end.
//
//     writer.socket().setsockopt(asyncio::os::SocketOption::keep_alive, 1);
//     auto who = writer.socket().peer_credentials().uid;
//
// A view: it does not keep the socket open. All calls throw std::system_error, also (EBADF) when
// the socket is gone; a view must not be used once its number may have a new owner. Threads: the
// loop's.
#pragma once

#include <asyncio/os/socket.hpp>
#include <asyncio/os/socket_address.hpp>
#include <asyncio/os/unix_socket.hpp>

namespace asyncio {

class TransportSocket {
  public:
    explicit TransportSocket(int fd) noexcept : fd_(fd) {}

    int fileno() const noexcept { return fd_; }
    int family() const { return getsockname().family(); }  // AF_INET, AF_INET6, AF_UNIX
    SocketAddress getsockname() const;
    SocketAddress getpeername() const;

    int getsockopt(os::SocketOption option) const;
    void setsockopt(os::SocketOption option, int value) const;
    /// Any option whose value is an int, by the system's names.
    int getsockopt(int level, int name) const;
    void setsockopt(int level, int name, int value) const;

    /// Unix sockets: the process at the other end. Of a server's socket: of this process.
    PeerCredentials peer_credentials() const;

  private:
    int fd_;
};

}  // namespace asyncio
