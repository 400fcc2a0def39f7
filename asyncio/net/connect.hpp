// SPDX-License-Identifier: MIT
//
// connect: a connected stream socket, whatever will sit on it.
//
// The host's addresses are tried in the resolver's order, one by one or with happy eyeballs; the
// socket of an attempt that failed or lost is closed. Errors: std::system_error, e.g. "connect
// 127.0.0.1:1: Connection refused". If several addresses fail in different ways, one error that
// names them all, or (all_errors) an ExceptionGroup. Cancelling closes the sockets.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/time.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/net/connect_options.hpp>
#include <asyncio/net/socket.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/os/socket_address.hpp>
#include <asyncio/stream/secure.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio {

namespace net {

/// Where to, and how. Owns its strings: it outlives the caller's.
struct ConnectRequest {
    enum class Kind : std::uint8_t { inet, unix_path, socket, unix_socket };

    Kind kind = Kind::inet;
    std::string host;  // or the path
    std::uint16_t port = 0;
    std::string local_host;
    std::uint16_t local_port = 0;
    int sock = -1;
    stream::Security security;
    std::optional<Duration> delay;
    unsigned interleave = 0;
    bool all_errors = false;
};

/// Checked: std::invalid_argument if they contradict each other.
ConnectRequest to_host(std::string_view host, Port port, const ConnectOptions& options);
ConnectRequest to_path(std::string_view path, const ConnectOptions& options);
ConnectRequest over_socket(const ConnectOptions& options);
ConnectRequest over_unix_socket(const ConnectOptions& options);

/// A socket that was accepted elsewhere: TLS is the server's side.
ConnectRequest over_accepted_socket(const ConnectOptions& options);

/// Put `protocol` behind a TLS layer on the socket; the layer's transport once it shook hands.
Coro<Ref<stream::Transport>> open_secure(Socket socket, Ref<stream::Protocol> protocol,
                                         stream::Security security);

/// Addresses of all families in turn, after `first` - 1 more of the first one.
std::vector<SocketAddress> interleaved(const std::vector<SocketAddress>& addresses, unsigned first);

/// The first of `remotes` that can be connected to. Without a delay, an attempt begins when the
/// former has failed. `locals`: bind to the first of them that has the same family and works.
Coro<Socket> connect_to_any(std::vector<SocketAddress> remotes, std::vector<SocketAddress> locals,
                            std::optional<Duration> delay, bool all_errors);

/// The connected socket, non-blocking. A unix connect waits while the server's queue is full. A
/// socket made elsewhere is checked only: std::invalid_argument, and it is still the caller's.
ASYNCIO_CORO_WRAPPER Coro<Socket> connect(ConnectRequest request);

}  // namespace net
}  // namespace asyncio
