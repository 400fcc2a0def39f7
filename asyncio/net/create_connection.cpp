// SPDX-License-Identifier: MIT
#include <asyncio/net/connect.hpp>
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/socket_transport.hpp>

namespace asyncio::net {

namespace {

Coro<Connected> connect_protocol(ConnectRequest request, Factory factory) {
    EventLoop& loop = get_running_loop();
    stream::Security security = std::move(request.security);
    Socket socket = co_await connect(std::move(request));
    Connected connected;
    connected.protocol = factory->make();
    if (security)
        connected.transport =
            co_await open_secure(std::move(socket), connected.protocol, std::move(security));
    else
        connected.transport = SocketTransport::open(loop, socket.take(), connected.protocol);
    co_return connected;
}

}  // namespace

ASYNCIO_CORO_WRAPPER
Coro<Connected> connect_to_host(Factory factory, std::string_view host, Port port,
                                ConnectOptions options) {
    return connect_protocol(to_host(host, port, options), std::move(factory));
}

ASYNCIO_CORO_WRAPPER
Coro<Connected> connect_to_path(Factory factory, std::string_view path, ConnectOptions options) {
    return connect_protocol(to_path(path, options), std::move(factory));
}

ASYNCIO_CORO_WRAPPER
Coro<Connected> connect_over_socket(Factory factory, ConnectOptions options) {
    return connect_protocol(over_socket(options), std::move(factory));
}

ASYNCIO_CORO_WRAPPER
Coro<Connected> connect_over_unix_socket(Factory factory, ConnectOptions options) {
    return connect_protocol(over_unix_socket(options), std::move(factory));
}

ASYNCIO_CORO_WRAPPER
Coro<Connected> connect_over_accepted_socket(Factory factory, ConnectOptions options) {
    return connect_protocol(over_accepted_socket(options), std::move(factory));
}

Coro<Connected> connect_pipe(Factory factory, int fd, bool for_writing) {
    const Direction direction = for_writing ? Direction::write : Direction::read;
    Connected connected;
    connected.protocol = factory->make();
    connected.transport =
        SocketTransport::open_pipe(get_running_loop(), fd, connected.protocol, direction);
    co_return connected;
}

}  // namespace asyncio::net
