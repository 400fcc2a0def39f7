// SPDX-License-Identifier: MIT
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/socket_transport.hpp>

namespace asyncio::net {

Coro<Ref<Transport>> connect_protocol(ConnectRequest request,
                                      std::unique_ptr<stream::ProtocolFactory> factory) {
    os::Fd fd = co_await connect(std::move(request));
    co_return SocketTransport::open(get_running_loop(), std::move(fd), factory->make());
}

Coro<Ref<Transport>> connect_pipe(int fd, bool for_writing,
                                  std::unique_ptr<stream::ProtocolFactory> factory) {
    const Direction direction = for_writing ? Direction::write : Direction::read;
    co_return SocketTransport::open_pipe(get_running_loop(), fd, factory->make(), direction);
}

}  // namespace asyncio::net
