// SPDX-License-Identifier: MIT
//
// How a connection is made: the options of open_connection and loop.create_connection.
//
// A plain aggregate of views: what they lead to must live until the call that takes it returns.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/stream/stream_core.hpp>

#include <cstddef>
#include <string_view>

namespace asyncio {

namespace stream {
class SecureContext;
}

/// An address (or name) and a port, 0 for any.
struct HostPort {
    std::string_view host = {};
    Port port = 0;
};

struct ConnectOptions {
    std::size_t limit = stream::StreamCore::kDefaultLimit;  // of the reader, bytes
    HostPort local_addr = {};                               // bind here first
    int sock = -1;  // a connected socket to take over, instead of host and port

    /// Make a TLS connection with this context, of which the call takes a copy. The options below
    /// are for TLS only.
    const stream::SecureContext* ssl = nullptr;
    /// The name in the server's certificate; default: the host. Must be given if there is none;
    /// empty: no name, which a context that checks names refuses.
    Option<std::string_view> server_hostname = {};
    Option<Duration> ssl_handshake_timeout = {};  // default: 60 s
    Option<Duration> ssl_shutdown_timeout = {};   // default: 30 s
    /// Happy eyeballs (RFC 8305): begin with the next address after this, while the former attempt
    /// goes on; the first to succeed wins. 250 ms is what the RFC suggests. None: one by one.
    Option<Duration> happy_eyeballs_delay = {};
    /// Take addresses of both families in turn, beginning with so many of the first one; 0: in the
    /// resolver's order. By default 1 with happy eyeballs, else 0.
    Option<unsigned> interleave = {};
    bool all_errors = false;  // throw an ExceptionGroup of all attempts' errors
};

}  // namespace asyncio
