// SPDX-License-Identifier: MIT
//
// listen: the sockets of a server, bound, and put into a ServerCore.
//
// All or none: if one address cannot be bound, the sockets of the others are closed. What this
// machine does not have (an address, IPv6) is skipped, as long as something is left. IPv6 sockets
// take IPv6 only, so one port can be had on both.
//
// A stale socket file is removed before a unix bind, whether somebody listens on it or not, as
// asyncio does; a file of another kind never is. Threads: the loop's.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/net/server_core.hpp>
#include <asyncio/os/port.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace asyncio {
class Server;
}

namespace asyncio::net {

/// Bind, and listen unless options.start_serving is false.
Coro<Ref<ServerCore>> listen(std::unique_ptr<Acceptor> acceptor, std::vector<std::string> hosts,
                             Port port, ServerOptions options);
Coro<Ref<ServerCore>> listen_unix(std::unique_ptr<Acceptor> acceptor, std::string path,
                                  ServerOptions options);

/// The same, as what users get.
Coro<Server> listen_on(std::unique_ptr<Acceptor> acceptor, std::vector<std::string> hosts,
                       Port port, ServerOptions options);
Coro<Server> listen_on_path(std::unique_ptr<Acceptor> acceptor, std::string path,
                            ServerOptions options);

}  // namespace asyncio::net
