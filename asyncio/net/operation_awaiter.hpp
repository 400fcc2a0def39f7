// SPDX-License-Identifier: MIT
//
// Connecting a socket, as an awaitable.
#pragma once

#include <asyncio/loop/operation_awaiter.hpp>
#include <asyncio/os/socket_address.hpp>

namespace asyncio::net {

/// co_await Connect(loop, fd, address): 0, or -errno. `address` must outlive the await.
class [[nodiscard]] Connect : public coro::DriverAwaitable {
  public:
    Connect(EventLoop& loop, int fd, const SocketAddress& address) noexcept
        : loop_(loop), fd_(fd), address_(address) {}

    loop::OperationAwaiter operator co_await() const noexcept {
        return loop::OperationAwaiter(loop_, kernel::Opcode::connect, "connect",
                                      [this](kernel::Operation& operation) {
                                          operation.fd = fd_;
                                          operation.address = address_.raw();
                                          operation.count = address_.size();
                                      });
    }

  private:
    EventLoop& loop_;
    int fd_;
    const SocketAddress& address_;
};

}  // namespace asyncio::net
