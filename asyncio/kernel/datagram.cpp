// SPDX-License-Identifier: MIT
#include <asyncio/kernel/datagram.hpp>

#include <algorithm>
#include <cerrno>

#include <sys/socket.h>

namespace asyncio::kernel {

struct DatagramBatch::Headers {
    mmsghdr messages[most] = {};
    iovec parts[most] = {};
    sockaddr_storage addresses[most];
};

DatagramBatch::DatagramBatch()
    : headers_(new Headers), memory_(new std::byte[std::size_t{most} * largest]) {
    for (unsigned i = 0; i < most; i++) {
        headers_->parts[i] = {memory_.get() + std::size_t{i} * largest, largest};
        msghdr& header = headers_->messages[i].msg_hdr;
        header.msg_iov = &headers_->parts[i];
        header.msg_iovlen = 1;
        header.msg_name = &headers_->addresses[i];
    }
}

DatagramBatch::~DatagramBatch() = default;

int DatagramBatch::receive(int fd) noexcept {
    for (mmsghdr& message : headers_->messages)
        message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
    int result = 0;
    do result = ::recvmmsg(fd, headers_->messages, most, MSG_DONTWAIT, nullptr);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : result;
}

Datagram DatagramBatch::operator[](int index) const noexcept {
    const mmsghdr& message = headers_->messages[index];
    Datagram datagram;
    datagram.result = static_cast<int>(message.msg_len);
    datagram.more = true;
    datagram.data = {memory_.get() + static_cast<std::size_t>(index) * largest, message.msg_len};
    datagram.address = reinterpret_cast<const sockaddr*>(&headers_->addresses[index]);
    // What the address has: more than there is room for, if it was cut.
    datagram.address_size =
        std::min<std::uint32_t>(message.msg_hdr.msg_namelen, sizeof(sockaddr_storage));
    datagram.truncated = (message.msg_hdr.msg_flags & MSG_TRUNC) != 0;
    return datagram;
}

}  // namespace asyncio::kernel
