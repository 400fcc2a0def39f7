// SPDX-License-Identifier: MIT
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/socket_transport.hpp>

namespace asyncio::net {

Coro<Connected> connect_protocol(ConnectRequest request,
                                 Owned<stream::ProtocolFactory> factory) {
    EventLoop& loop = get_running_loop();
    stream::Security security = std::move(request.security);
    Socket socket = co_await connect(std::move(request));
    Ref<stream::Protocol> protocol = factory->make();
    Ref<Transport> transport;
    if (security)
        transport = co_await open_secure(std::move(socket), protocol, std::move(security));
    else
        transport = SocketTransport::open(loop, socket.take(), protocol);
    co_return Connected(std::move(transport), std::move(protocol));
}

Coro<Connected> connect_pipe(int fd, bool for_writing,
                             Owned<stream::ProtocolFactory> factory) {
    const Direction direction = for_writing ? Direction::write : Direction::read;
    Ref<stream::Protocol> protocol = factory->make();
    Ref<Transport> transport =
        SocketTransport::open_pipe(get_running_loop(), fd, protocol, direction);
    co_return Connected(std::move(transport), std::move(protocol));
}

}  // namespace asyncio::net
