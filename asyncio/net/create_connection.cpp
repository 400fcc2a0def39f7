// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/socket_transport.hpp>

namespace asyncio::net {

Coro<Connected> connect_protocol(ConnectRequest request,
                                 std::unique_ptr<stream::ProtocolFactory> factory) {
    EventLoop& loop = get_running_loop();
    stream::Security security = std::move(request.security);
    os::Fd fd = co_await connect(std::move(request));
    Ref<stream::Protocol> protocol;
    try {
        protocol = factory->make();
    } catch (...) {
        loop.kernel().close(fd.release());  // the kernel knows it
        throw;
    }
    Ref<Transport> transport;
    if (security)
        transport = co_await open_secure(std::move(fd), protocol, std::move(security));
    else
        transport = SocketTransport::open(loop, std::move(fd), protocol);
    co_return Connected(std::move(transport), std::move(protocol));
}

Coro<Connected> connect_pipe(int fd, bool for_writing,
                             std::unique_ptr<stream::ProtocolFactory> factory) {
    const Direction direction = for_writing ? Direction::write : Direction::read;
    Ref<stream::Protocol> protocol = factory->make();
    Ref<Transport> transport =
        SocketTransport::open_pipe(get_running_loop(), fd, protocol, direction);
    co_return Connected(std::move(transport), std::move(protocol));
}

}  // namespace asyncio::net
