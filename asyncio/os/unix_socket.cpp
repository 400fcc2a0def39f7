// SPDX-License-Identifier: MIT
#include <asyncio/os/passed_descriptors.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio::os {

namespace {

/// What may stand before the descriptors of a message, where the socket's options want it: the
/// credentials of the sender, his security label, his process.
constexpr std::size_t kOtherControl = 1024;  // bytes

/// Room for the descriptors of one message.
union Control {
    cmsghdr header;
    char bytes[CMSG_SPACE(most_passed_descriptors * sizeof(int)) + kOtherControl];
};

std::ptrdiff_t result_of(ssize_t result) noexcept { return result < 0 ? -errno : result; }

}  // namespace

int peer_credentials(int fd, PeerCredentials& credentials) noexcept {
    ucred peer = {};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -errno;
    credentials = {.pid = peer.pid, .uid = peer.uid, .gid = peer.gid};
    return 0;
}

std::ptrdiff_t try_send_descriptors(int fd, std::span<const std::byte> data,
                                    std::span<const int> descriptors) noexcept {
    if (descriptors.size() > most_passed_descriptors || data.empty()) return -EINVAL;
    iovec part = {const_cast<std::byte*>(data.data()), data.size()};  // not written through
    Control control = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!descriptors.empty()) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        control.header = {
            .cmsg_len = CMSG_LEN(descriptors.size_bytes()),
            .cmsg_level = SOL_SOCKET,
            .cmsg_type = SCM_RIGHTS,
        };
        std::memcpy(CMSG_DATA(&control.header), descriptors.data(), descriptors.size_bytes());
    }
    ssize_t result = 0;
    do result = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (result < 0 && errno == EINTR);
    return result_of(result);
}

Received try_receive_descriptors(int fd, std::span<std::byte> data,
                                 std::span<int> descriptors) noexcept {
    iovec part = {data.data(), data.size()};
    Control control = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    ssize_t result = 0;
    do result = ::recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (result < 0 && errno == EINTR);
    Received received = {.bytes = result_of(result)};
    if (result < 0) return received;
    const TakenDescriptors taken = take_descriptors(
        std::as_bytes(std::span(control.bytes)).first(message.msg_controllen), descriptors);
    received.descriptors = taken.count;
    received.truncated = taken.dropped || (message.msg_flags & MSG_CTRUNC) != 0;
    return received;
}

Received receive_bytes_now(int fd, std::span<std::byte> data) noexcept {
    iovec part = {data.data(), data.size()};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    const std::ptrdiff_t bytes = result_of(::recvmsg(fd, &message, MSG_DONTWAIT));
    return {.bytes = bytes, .truncated = bytes >= 0 && (message.msg_flags & MSG_CTRUNC) != 0};
}

// Paths of simulated sockets are names only: no file stands behind them.

FileIdentity identity_of(const std::string& path) noexcept {
    if (simulated_system != nullptr) return {};
    struct stat status = {};
    if (::lstat(path.c_str(), &status) != 0) return {};
    return {.device = status.st_dev, .inode = status.st_ino};
}

int remove_stale_socket(const std::string& path) noexcept {
    if (simulated_system != nullptr) return 0;
    struct stat status = {};
    if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode)) return 0;
    return ::unlink(path.c_str()) == 0 || errno == ENOENT ? 0 : -errno;
}

void remove_if_still(const std::string& path, FileIdentity identity) noexcept {
    if (identity != FileIdentity() && identity_of(path) == identity) ::unlink(path.c_str());
}

int limit_permissions(int fd, unsigned permissions) noexcept {
    if (simulated_system != nullptr) return 0;
    return ::fchmod(fd, permissions) == 0 ? 0 : -errno;
}

int set_permissions(const std::string& path, unsigned permissions) noexcept {
    if (simulated_system != nullptr) return 0;
    return ::chmod(path.c_str(), permissions) == 0 ? 0 : -errno;
}

}  // namespace asyncio::os
