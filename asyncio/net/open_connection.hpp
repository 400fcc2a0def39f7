// SPDX-License-Identifier: MIT
//
// open_connection, open_unix_connection: a connection as a pair of streams.
//
//     auto [reader, writer] = co_await asyncio::open_connection("localhost", 8888);
//
// The host's addresses are tried in the resolver's order; the socket of a failed attempt is closed.
// Errors: std::system_error, e.g. "connect 127.0.0.1:1: Connection refused". If several addresses
// fail in different ways, one error that names them all. Cancelling closes the socket.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/net/connect_options.hpp>
#include <asyncio/os/port.hpp>
#include <asyncio/stream/reader.hpp>
#include <asyncio/stream/writer.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

namespace asyncio {

/// std::invalid_argument if both or neither of host/port and `sock` are given, or if `sock` is no
/// stream socket (then it is still the caller's).
ASYNCIO_CORO_WRAPPER Coro<std::pair<StreamReader, StreamWriter>> open_connection(
    std::string_view host, Port port, ConnectOptions options = {});
ASYNCIO_CORO_WRAPPER Coro<std::pair<StreamReader, StreamWriter>> open_connection(
    ConnectOptions options);

/// To a unix socket: a path, or with a leading NUL an abstract name; or over options.sock. While
/// the server's queue is full it waits for room. std::invalid_argument as above, and for a path
/// that is empty or longer than the system's 107 bytes.
ASYNCIO_CORO_WRAPPER Coro<std::pair<StreamReader, StreamWriter>> open_unix_connection(
    std::string_view path, ConnectOptions options = {});
ASYNCIO_CORO_WRAPPER Coro<std::pair<StreamReader, StreamWriter>> open_unix_connection(
    ConnectOptions options);

}  // namespace asyncio
