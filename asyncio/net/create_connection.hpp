// SPDX-License-Identifier: MIT
//
// Connections whose protocol is the user's: loop.create_connection and its relatives.
//
//     auto [transport, protocol] = co_await loop.create_connection(
//         [] { return std::make_unique<Echo>(); }, "localhost", 8888);
//     transport->write("hello");
//
// The factory is called once the connection stands; the protocol's connection_made has been called
// when these return. Both references keep their objects alive, nothing more: the connection ends
// with close(), abort(), the peer, or the loop. Options, errors and cancellation are those of
// open_connection; called on the running loop.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/net/connect.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/stream/protocol.hpp>

#include <memory>
#include <utility>

namespace asyncio {

namespace net {

/// Connect, make a protocol, put it on a transport.
using Connected = std::pair<Ref<Transport>, Ref<stream::Protocol>>;
Coro<Connected> connect_protocol(ConnectRequest request,
                                 Owned<stream::ProtocolFactory> factory);
Coro<Connected> connect_pipe(int fd, bool for_writing,
                             Owned<stream::ProtocolFactory> factory);

/// The protocol is known again by its type.
template <class P>
Coro<std::pair<Ref<Transport>, Ref<P>>> with_protocol(Coro<Connected> connecting) {
    Connected connected = co_await std::move(connecting);
    Ref<P> protocol(static_cast<P*>(connected.second.get()));
    co_return std::pair<Ref<Transport>, Ref<P>>(std::move(connected.first), std::move(protocol));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto create_connection(F factory, ConnectRequest request) {
    using P = stream::ProtocolOf<F>;
    return with_protocol<P>(
        connect_protocol(std::move(request), stream::make_factory(std::move(factory))));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto create_pipe(F factory, int fd, bool for_writing) {
    using P = stream::ProtocolOf<F>;
    return with_protocol<P>(
        connect_pipe(fd, for_writing, stream::make_factory(std::move(factory))));
}

}  // namespace net

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_connection(F factory, std::string_view host,
                                                            Port port, ConnectOptions options) {
    return net::create_connection(std::move(factory), net::to_host(host, port, options));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_connection(F factory, std::string_view host,
                                                            Port port) {
    return net::create_connection(std::move(factory), net::to_host(host, port, {}));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_connection(F factory, ConnectOptions options) {
    return net::create_connection(std::move(factory), net::over_socket(options));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_connection(F factory, std::string_view path,
                                                                 ConnectOptions options) {
    return net::create_connection(std::move(factory), net::to_path(path, options));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_connection(F factory, std::string_view path) {
    return net::create_connection(std::move(factory), net::to_path(path, {}));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_connection(F factory,
                                                                 ConnectOptions options) {
    return net::create_connection(std::move(factory), net::over_unix_socket(options));
}

/// Put a protocol on a socket that was accepted elsewhere, which is taken over. With options.ssl:
/// as the server of a TLS connection.
template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::connect_accepted_socket(F factory, int sock) {
    return connect_accepted_socket(std::move(factory), sock, ConnectOptions());
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::connect_accepted_socket(F factory, int sock,
                                                                  ConnectOptions options) {
    options.sock = sock;
    return net::create_connection(std::move(factory), net::over_accepted_socket(options));
}

/// Put a protocol on the reading end of a pipe (a FIFO, a socket, a terminal or another character
/// device), which is taken over, made non-blocking while it is read, and closed at the end of its
/// stream. std::invalid_argument for anything else; then it is still the caller's.
template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::connect_read_pipe(F factory, int fd) {
    return net::create_pipe(std::move(factory), fd, false);
}

/// The same for the writing end. When its last reader goes away, connection_lost comes: with an
/// error (EPIPE) if something was not sent yet. write_eof() is close().
template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::connect_write_pipe(F factory, int fd) {
    return net::create_pipe(std::move(factory), fd, true);
}

}  // namespace asyncio
