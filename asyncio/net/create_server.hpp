// SPDX-License-Identifier: MIT
//
// Servers whose connections have a protocol of the user's: loop.create_server.
//
//     asyncio::Server server = co_await loop.create_server(
//         [] { return std::make_unique<Echo>(); }, "127.0.0.1", 8888);
//
// The factory is called for each connection; what it throws is reported and closes that connection.
// Options and errors are those of start_server; called on the running loop.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/net/listen.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/stream/protocol.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace asyncio {

namespace net {

ASYNCIO_CORO_WRAPPER Coro<Server> create_server(Owned<stream::ProtocolFactory> factory,
                                                std::vector<std::string> hosts, Port port,
                                                ServerOptions options);
ASYNCIO_CORO_WRAPPER Coro<Server> create_unix_server(
    Owned<stream::ProtocolFactory> factory, std::string path, ServerOptions options);

}  // namespace net

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_server(F factory, std::string_view host, Port port,
                                                        ServerOptions options) {
    std::vector<std::string> hosts;
    hosts.emplace_back(host);
    return net::create_server(stream::make_factory(std::move(factory)), std::move(hosts), port,
                              options);
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_server(F factory, std::string_view host,
                                                        Port port) {
    return create_server(std::move(factory), host, port, ServerOptions());
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_server(F factory, ServerOptions options) {
    return net::create_server(stream::make_factory(std::move(factory)), std::vector<std::string>(),
                              0, options);
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_server(F factory, std::string_view path,
                                                             ServerOptions options) {
    return net::create_unix_server(stream::make_factory(std::move(factory)), std::string(path),
                                   options);
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_server(F factory, std::string_view path) {
    return create_unix_server(std::move(factory), path, ServerOptions());
}

}  // namespace asyncio
