// SPDX-License-Identifier: MIT
#include <asyncio/net/connect.hpp>
#include <asyncio/net/open_connection.hpp>
#include <asyncio/net/socket_transport.hpp>

namespace asyncio {

namespace {

using Streams = std::pair<StreamReader, StreamWriter>;

Coro<Streams> open_streams(net::ConnectRequest request, std::size_t limit) {
    const Ref<stream::StreamCore> core(new stream::StreamCore(limit));
    stream::Security security = std::move(request.security);
    if (request.kind == net::ConnectRequest::Kind::inet)
        core->host = make_owned<const std::string>(request.host);
    net::Socket socket = co_await net::connect(std::move(request));
    if (security)
        (void)co_await net::open_secure(std::move(socket), core, std::move(security));
    else
        net::SocketTransport::open(get_running_loop(), socket.take(), core);
    co_return Streams(StreamReader(core), StreamWriter(core));
}

}  // namespace

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_connection(std::string_view host, Port port, ConnectOptions options) {
    return open_streams(net::to_host(host, port, options), options.limit);
}

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_connection(ConnectOptions options) {
    return open_streams(net::over_socket(options), options.limit);
}

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_unix_connection(std::string_view path, ConnectOptions options) {
    return open_streams(net::to_path(path, options), options.limit);
}

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_unix_connection(ConnectOptions options) {
    return open_streams(net::over_unix_socket(options), options.limit);
}

}  // namespace asyncio
