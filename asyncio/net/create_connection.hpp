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
#include <asyncio/net/connect_options.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/stream/protocol.hpp>

#include <string_view>
#include <utility>

namespace asyncio {

namespace net {

/// What came of it; the protocol is known again by its type.
struct Connected {
    Ref<Transport> transport;
    Ref<stream::Protocol> protocol;
};
using Factory = Owned<stream::ProtocolFactory>;

// Connect, make a protocol, put it on a transport. What contradicts itself throws at once.
Coro<Connected> connect_to_host(Factory factory, std::string_view host, Port port,
                                ConnectOptions options);
Coro<Connected> connect_to_path(Factory factory, std::string_view path, ConnectOptions options);
Coro<Connected> connect_over_socket(Factory factory, ConnectOptions options);
Coro<Connected> connect_over_unix_socket(Factory factory, ConnectOptions options);
Coro<Connected> connect_over_accepted_socket(Factory factory, ConnectOptions options);
Coro<Connected> connect_pipe(Factory factory, int fd, bool for_writing);

template <class F>
Coro<std::pair<Ref<Transport>, Ref<stream::ProtocolOf<F>>>> with_protocol_of(
    Coro<Connected> connecting) {
    using P = stream::ProtocolOf<F>;
    Connected connected = co_await std::move(connecting);
    Ref<P> protocol(static_cast<P*>(connected.protocol.get()));
    co_return std::pair<Ref<Transport>, Ref<P>>(std::move(connected.transport),
                                                std::move(protocol));
}

}  // namespace net

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_connection(F factory, std::string_view host,
                                                            Port port, ConnectOptions options) {
    return net::with_protocol_of<F>(
        net::connect_to_host(stream::make_factory(std::move(factory)), host, port, options));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_connection(F factory, std::string_view host,
                                                            Port port) {
    return net::with_protocol_of<F>(net::connect_to_host(stream::make_factory(std::move(factory)),
                                                         host, port, ConnectOptions()));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_connection(F factory, ConnectOptions options) {
    return net::with_protocol_of<F>(
        net::connect_over_socket(stream::make_factory(std::move(factory)), options));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_connection(F factory, std::string_view path,
                                                                 ConnectOptions options) {
    return net::with_protocol_of<F>(
        net::connect_to_path(stream::make_factory(std::move(factory)), path, options));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_connection(F factory, std::string_view path) {
    return net::with_protocol_of<F>(
        net::connect_to_path(stream::make_factory(std::move(factory)), path, ConnectOptions()));
}

template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::create_unix_connection(F factory,
                                                                 ConnectOptions options) {
    return net::with_protocol_of<F>(
        net::connect_over_unix_socket(stream::make_factory(std::move(factory)), options));
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
    return net::with_protocol_of<F>(
        net::connect_over_accepted_socket(stream::make_factory(std::move(factory)), options));
}

/// Put a protocol on the reading end of a pipe (a FIFO, a socket, a terminal or another character
/// device), which is taken over, made non-blocking while it is read, and closed at the end of its
/// stream. std::invalid_argument for anything else; then it is still the caller's.
template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::connect_read_pipe(F factory, int fd) {
    return net::with_protocol_of<F>(
        net::connect_pipe(stream::make_factory(std::move(factory)), fd, false));
}

/// The same for the writing end. When its last reader goes away, connection_lost comes: with an
/// error (EPIPE) if something was not sent yet. write_eof() is close().
template <class F>
ASYNCIO_CORO_WRAPPER auto loop::NetVerbs::connect_write_pipe(F factory, int fd) {
    return net::with_protocol_of<F>(
        net::connect_pipe(stream::make_factory(std::move(factory)), fd, true));
}

}  // namespace asyncio
