// SPDX-License-Identifier: MIT
//
// secured: an acceptor whose connections are TLS, if the server's options say so.
//
// It puts a layer between the transport and the protocol of the acceptor it wraps, and tells that
// acceptor of the connection when the handshake is through. Until then there is no task and no
// stream: a connection that does not shake hands costs little, and ends at the time limit.
//
// Threads: the loop's.
#pragma once

#include <asyncio/net/server_core.hpp>

#include <memory>

namespace asyncio::net {

/// `acceptor` itself for plain connections. Takes its copy of options.ssl. std::invalid_argument
/// for time limits without TLS, or that are not positive.
std::unique_ptr<Acceptor> secured(std::unique_ptr<Acceptor> acceptor, const ServerOptions& options);

}  // namespace asyncio::net
