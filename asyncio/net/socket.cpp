// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/net/socket.hpp>

namespace asyncio::net {

void Socket::close() noexcept {
    if (fd_) loop_->kernel().close(fd_.release());
}

}  // namespace asyncio::net
