// SPDX-License-Identifier: MIT
//
// connect: a connected stream socket, whatever will sit on it.
//
// The host's addresses are tried in the resolver's order; the socket of a failed attempt is closed.
// Errors: std::system_error, e.g. "connect 127.0.0.1:1: Connection refused". If several addresses
// fail in different ways, one error that names them all. Cancelling closes the socket.
//
// Threads: the loop's.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket_address.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace asyncio::net {

/// Where to, and how. Owns its strings: it outlives the caller's.
struct ConnectRequest {
    std::string host;
    std::uint16_t port = 0;
    std::string local_host;
    std::uint16_t local_port = 0;
};

Coro<os::Fd> connect(ConnectRequest request);

/// A unix socket connected to `path` (leading NUL: an abstract name). While the server's queue is
/// full it waits for room.
Coro<os::Fd> connect_unix(std::string path);

}  // namespace asyncio::net
