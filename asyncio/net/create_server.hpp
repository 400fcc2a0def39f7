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
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/stream/protocol.hpp>

#include <string_view>
#include <utility>

namespace asyncio {

namespace net {

Coro<Server> create_server(Owned<stream::ProtocolFactory> factory, std::string_view host, Port port,
                           ServerOptions options);
Coro<Server> create_server(Owned<stream::ProtocolFactory> factory, ServerOptions options);
Coro<Server> create_unix_server(Owned<stream::ProtocolFactory> factory, std::string_view path,
                                ServerOptions options);

}  // namespace net

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_server(F factory, std::string_view host, Port port,
                                                        ServerOptions options) {
    return net::create_server(stream::make_factory(std::move(factory)), host, port, options);
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_server(F factory, std::string_view host,
                                                        Port port) {
    return create_server(std::move(factory), host, port, ServerOptions());
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_server(F factory, ServerOptions options) {
    return net::create_server(stream::make_factory(std::move(factory)), options);
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_server(F factory, std::string_view path,
                                                             ServerOptions options) {
    return net::create_unix_server(stream::make_factory(std::move(factory)), path, options);
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_server(F factory, std::string_view path) {
    return create_unix_server(std::move(factory), path, ServerOptions());
}

}  // namespace asyncio
