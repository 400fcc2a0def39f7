// SPDX-License-Identifier: MIT
#include <asyncio/kernel/io_uring_datagram.hpp>

#include <algorithm>
#include <cstring>

#include <sys/socket.h>

namespace asyncio::kernel {

namespace {

/// The system's io_uring_recvmsg_out. `payload_size` is what the message had: it may have been cut.
struct Header {
    std::uint32_t address_size;
    std::uint32_t control_size;
    std::uint32_t payload_size;
    std::uint32_t flags;
};

constexpr std::size_t kAddressRoom = sizeof(sockaddr_storage);

constinit msghdr layout = {.msg_name = nullptr,
                           .msg_namelen = kAddressRoom,
                           .msg_iov = nullptr,
                           .msg_iovlen = 0,
                           .msg_control = nullptr,
                           .msg_controllen = 0,
                           .msg_flags = 0};

}  // namespace

msghdr& io_uring_datagram_layout() noexcept { return layout; }

std::optional<Datagram> read_io_uring_datagram(std::span<const std::byte> written) noexcept {
    Header header;
    if (written.size() < sizeof header + kAddressRoom) return std::nullopt;
    std::memcpy(&header, written.data(), sizeof header);
    Datagram datagram;
    datagram.address = reinterpret_cast<const sockaddr*>(written.data() + sizeof header);
    datagram.address_size = std::min<std::uint32_t>(header.address_size, kAddressRoom);
    datagram.data = written.subspan(sizeof header + kAddressRoom);
    datagram.result = static_cast<int>(datagram.data.size());
    datagram.more = true;
    datagram.truncated = (header.flags & MSG_TRUNC) != 0;
    return datagram;
}

}  // namespace asyncio::kernel
