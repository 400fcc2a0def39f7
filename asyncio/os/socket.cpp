// SPDX-License-Identifier: MIT
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/os/socket_address.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::os {
namespace {

constexpr int message_flags = MSG_NOSIGNAL | MSG_DONTWAIT;

/// `call()` again while a signal interrupts it; its result or -errno.
template <class Call>
auto retry(Call&& call) noexcept {
    auto result = call();
    while (result < 0 && errno == EINTR) result = call();
    if (result < 0) result = -errno;
    return result;
}

struct OptionName {
    int level;
    int name;
};

OptionName name_of(SocketOption option) noexcept {
    switch (option) {
        case SocketOption::no_delay:
            return {IPPROTO_TCP, TCP_NODELAY};
        case SocketOption::reuse_address:
            return {SOL_SOCKET, SO_REUSEADDR};
        case SocketOption::reuse_port:
            return {SOL_SOCKET, SO_REUSEPORT};
        case SocketOption::ipv6_only:
            return {IPPROTO_IPV6, IPV6_V6ONLY};
        case SocketOption::broadcast:
            return {SOL_SOCKET, SO_BROADCAST};
        case SocketOption::keep_alive:
            return {SOL_SOCKET, SO_KEEPALIVE};
        case SocketOption::linger_reset:
            return {SOL_SOCKET, SO_LINGER};
        case SocketOption::send_buffer:
            return {SOL_SOCKET, SO_SNDBUF};
        case SocketOption::receive_buffer:
            return {SOL_SOCKET, SO_RCVBUF};
    }
    return {-1, -1};
}

using NameCall = int (*)(int, sockaddr*, socklen_t*);

int fetch_address(NameCall call, int fd, SocketAddress& address) noexcept {
    SocketAddress result;
    socklen_t size = SocketAddress::capacity;
    if (call(fd, result.raw(), &size) != 0) return -errno;
    result.set_size(std::min<socklen_t>(size, SocketAddress::capacity));
    address = result;
    return 0;
}

}  // namespace

int stream_socket(int family) noexcept {
    if (simulated_system != nullptr) [[unlikely]]
        return simulated_system->open_socket(family, SOCK_STREAM);
    return retry([&] { return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
}

int datagram_socket(int family) noexcept {
    if (simulated_system != nullptr) [[unlikely]]
        return simulated_system->open_socket(family, SOCK_DGRAM);
    return retry([&] { return ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); });
}

int bind(int fd, const SocketAddress& address) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->bind(fd, address);
    return retry([&] { return ::bind(fd, address.raw(), address.size()); });
}

int listen(int fd, int backlog) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->listen(fd, backlog);
    return retry([&] { return ::listen(fd, backlog); });
}

int connect(int fd, const SocketAddress& address) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->connect(fd, address);
    return ::connect(fd, address.raw(), address.size()) == 0 ? 0 : -errno;
}

int local_address(int fd, SocketAddress& address) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->local_address(fd, address);
    return fetch_address(&::getsockname, fd, address);
}

int peer_address(int fd, SocketAddress& address) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->peer_address(fd, address);
    return fetch_address(&::getpeername, fd, address);
}

int set_option(int fd, SocketOption option, int value) noexcept {
    const OptionName name = name_of(option);
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->set_option(fd, name.level, name.name, value);
    const linger reset = {value != 0 ? 1 : 0, 0};
    const bool lingers = option == SocketOption::linger_reset;
    const void* data = lingers ? static_cast<const void*>(&reset) : &value;
    const socklen_t size = lingers ? sizeof reset : sizeof value;
    return ::setsockopt(fd, name.level, name.name, data, size) == 0 ? 0 : -errno;
}

int get_option(int fd, SocketOption option) noexcept {
    const OptionName name = name_of(option);
    int value = 0;
    const int result = get_option(fd, name.level, name.name, value);
    return result == 0 ? value : result;
}

int set_option(int fd, int level, int name, int value) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->set_option(fd, level, name, value);
    return ::setsockopt(fd, level, name, &value, sizeof value) == 0 ? 0 : -errno;
}

int get_option(int fd, int level, int name, int& value) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->get_option(fd, level, name, value);
    socklen_t size = sizeof value;
    return ::getsockopt(fd, level, name, &value, &size) == 0 ? 0 : -errno;
}

bool is_stream_socket(int fd) noexcept {
    int type = 0;
    return get_option(fd, SOL_SOCKET, SO_TYPE, type) == 0 && type == SOCK_STREAM;
}

bool is_unix_socket(int fd) noexcept {
    int domain = 0;
    return get_option(fd, SOL_SOCKET, SO_DOMAIN, domain) == 0 && domain == AF_UNIX;
}

bool is_unix_stream_socket(int fd) noexcept { return is_stream_socket(fd) && is_unix_socket(fd); }

bool is_datagram_socket(int fd) noexcept {
    int type = 0;
    return get_option(fd, SOL_SOCKET, SO_TYPE, type) == 0 && type == SOCK_DGRAM;
}

int shutdown(int fd, Shutdown how) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->shutdown(fd, how);
    const int system_how = how == Shutdown::read    ? SHUT_RD
                           : how == Shutdown::write ? SHUT_WR
                                                    : SHUT_RDWR;
    return ::shutdown(fd, system_how) == 0 ? 0 : -errno;
}

int set_nonblocking(int fd) noexcept {
    if (is_simulated(fd)) return 0;  // they all are
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    return ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

int take_socket_error(int fd) noexcept {
    int error = 0;
    const int result = get_option(fd, SOL_SOCKET, SO_ERROR, error);
    return result == 0 ? error : -result;
}

std::ptrdiff_t send_now(int fd, std::span<const std::byte> data) noexcept {
    if (is_simulated(fd)) [[unlikely]]
        return try_send(fd, data);
    const std::ptrdiff_t sent = ::send(fd, data.data(), data.size(), message_flags);
    return sent >= 0 ? sent : -errno;
}

std::ptrdiff_t receive_now(int fd, std::span<std::byte> buffer) noexcept {
    if (is_simulated(fd)) [[unlikely]]
        return try_receive(fd, buffer);
    const std::ptrdiff_t received = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    return received >= 0 ? received : -errno;
}

std::ptrdiff_t try_send(int fd, std::span<const std::byte> data) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]] {
        const iovec part = {const_cast<std::byte*>(data.data()), data.size()};  // only read
        return system->send(fd, &part, 1);
    }
    return retry([&] { return ::send(fd, data.data(), data.size(), message_flags); });
}

std::ptrdiff_t try_send(int fd, const iovec* buffers, std::size_t count) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->send(fd, buffers, count);
    if (count == 1)
        return retry(
            [&] { return ::send(fd, buffers->iov_base, buffers->iov_len, message_flags); });
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(buffers);  // sendmsg does not write through it
    message.msg_iovlen = std::min<std::size_t>(count, IOV_MAX);
    return retry([&] { return ::sendmsg(fd, &message, message_flags); });
}

std::ptrdiff_t try_receive(int fd, std::span<std::byte> buffer) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->receive(fd, buffer);
    return retry([&] { return ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT); });
}

int try_accept(int fd) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->accept(fd);
    return retry([&] { return ::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK); });
}

bool is_transient_accept_error(int errno_value) noexcept {
    switch (errno_value) {
        case EINTR:
        case ECONNABORTED:
        case EPROTO:
        case EPERM:  // a firewall refused this one
        case ENETDOWN:
        case ENETUNREACH:
        case ENONET:
        case ENOPROTOOPT:
        case EHOSTDOWN:
        case EHOSTUNREACH:
        case ETIMEDOUT:
            return true;
        default:
            return false;
    }
}

}  // namespace asyncio::os
