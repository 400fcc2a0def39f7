// SPDX-License-Identifier: MIT
//
// A datagram socket as options ask for it: made, bound, connected. What sits on it is up to others.
//
// Local and remote addresses are looked up and paired by family; the pairs are tried in turn, and
// if all fail the first error is thrown. Without either, a family is needed, and the socket is
// neither bound nor connected. A unix path is one with a slash or a leading NUL (abstract), or any
// with family AF_UNIX; a stale socket file at the local path is removed. Threads: the loop's.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/net/datagram_options.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket_address.hpp>

#include <cstdint>
#include <string>

namespace asyncio {

namespace net {

/// A copy of the options that owns its strings.
struct DatagramRequest {
    std::string local_host;
    std::uint16_t local_port = 0;
    std::string remote_host;
    std::uint16_t remote_port = 0;
    int family = 0;
    bool reuse_port = false;
    bool allow_broadcast = false;
    int sock = -1;
};

/// Checked: std::invalid_argument if they contradict each other.
DatagramRequest request_of(const DatagramOptions& options);

struct DatagramSocket {
    os::Fd fd;
    SocketAddress remote;  // family 0: none
    bool connected = false;
};

Coro<DatagramSocket> open_datagram_socket(DatagramRequest request);

}  // namespace net
}  // namespace asyncio
