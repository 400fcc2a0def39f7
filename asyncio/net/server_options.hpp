// SPDX-License-Identifier: MIT
//
// How a server listens: the options of start_server, loop.create_server and their relatives.
//
// A plain aggregate: what it points to must live until the call that takes it returns.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/stream/stream_core.hpp>

#include <cstddef>

namespace asyncio {

namespace stream {
class SecureContext;
}

struct ServerOptions {
    std::size_t limit = stream::StreamCore::kDefaultLimit;  // of each reader, bytes
    int backlog = 100;  // connections the system queues before they are accepted
    bool reuse_address = true;
    bool reuse_port = false;    // several servers, one port: the system spreads connections
    bool keep_alive = false;    // TCP keep-alive on the listener, from which connections have it
    bool start_serving = true;  // false: only after Server::start_serving()
    int sock = -1;              // a bound stream socket to take over, instead of host and port
    // Unix servers only.
    bool cleanup_socket = true;  // remove the socket file when the server is closed
    int permissions = -1;        // of the socket file, e.g. 0600; -1: what the umask leaves

    /// Connections are TLS, with this context, of which the call takes a copy. A connection is
    /// handed over when its handshake is through; one that fails is dropped (and logged in debug
    /// mode). The time limits are for TLS only.
    const stream::SecureContext* ssl = nullptr;
    Option<Duration> ssl_handshake_timeout = {};  // default: 60 s
    Option<Duration> ssl_shutdown_timeout = {};   // default: 30 s
};

}  // namespace asyncio
