// SPDX-License-Identifier: MIT
//
// How a datagram endpoint is made: the options of open_datagram and loop.create_datagram_endpoint.
//
// A plain aggregate of views: what they lead to must live until the call that takes it returns.
#pragma once

#include <asyncio/net/connect_options.hpp>

#include <cstddef>

namespace asyncio {

struct DatagramOptions {
    HostPort local = {};   // bind here; a unix path goes into `host`
    HostPort remote = {};  // connect to there: only its datagrams are received
    int family = 0;        // AF_INET, AF_INET6 or AF_UNIX, if there is no address to tell
    bool reuse_port = false;
    bool allow_broadcast = false;  // also to `remote`, which is then only where sendto() goes
    int sock = -1;                 // a datagram socket to take over; excludes all of the above
    std::size_t receive_limit = 1u << 20;  // open_datagram: bytes kept for recvfrom()
};

}  // namespace asyncio
