// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/operation_awaiter.hpp>
#include <asyncio/net/resolve.hpp>
#include <asyncio/net/sock.hpp>
#include <asyncio/os/datagram.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

#include <poll.h>
#include <sys/socket.h>

namespace asyncio {

namespace net {

void check_sock(const EventLoop& loop, int sock) {
    if (loop.owns_descriptor(sock))
        throw std::logic_error("File descriptor " + std::to_string(sock) +
                               " is used by a transport");
    if (loop.get_debug() && !os::is_nonblocking(sock))
        throw std::invalid_argument("the socket must be non-blocking");
}

NonBlocking::NonBlocking(int fd) noexcept : fd_(fd), blocked_(!os::is_nonblocking(fd)) {
    if (blocked_) os::set_nonblocking(fd_);
}

NonBlocking::~NonBlocking() {
    if (blocked_) os::set_blocking(fd_);
}

Coro<> wait_until_ready(int fd, unsigned events) {
    const int result = co_await loop::Readiness(fd, events);
    if (result < 0) os::throw_system_error(-result, "wait for a socket");
}

namespace {

/// The result of `call`, which says -EAGAIN as long as it has to wait.
template <class Call>
Coro<std::size_t> retry(int sock, unsigned events, const char* what, Call call) {
    check_sock(get_running_loop(), sock);
    std::ptrdiff_t result = call();
    while (result == -EAGAIN) {
        co_await wait_until_ready(sock, events);
        result = call();
    }
    if (result < 0) os::throw_system_error(static_cast<int>(-result), what);
    co_return static_cast<std::size_t>(result);
}

std::span<std::byte> memory_of(std::string& text) noexcept {
    return std::as_writable_bytes(std::span(text));
}

std::span<const std::byte> bytes_of(std::string_view text) noexcept {
    return std::as_bytes(std::span(text));
}

Coro<> finish_connect(int sock, std::string what) {
    co_await wait_until_ready(sock, POLLOUT);
    const int error = os::take_socket_error(sock);
    if (error != 0) os::throw_system_error(error, what);
}

int family_of(int sock) {
    int family = 0;
    const int result = os::get_option(sock, SOL_SOCKET, SO_DOMAIN, family);
    if (result < 0) os::throw_system_error(-result, "sock_connect");
    return family;
}

}  // namespace
}  // namespace net

Coro<std::string> loop::NetVerbs::sock_recv(int sock, std::size_t n) {
    std::string data(n, '\0');
    auto call = [&] { return os::try_receive(sock, net::memory_of(data)); };
    data.resize(co_await net::retry(sock, POLLIN, "sock_recv", call));
    co_return data;
}

Coro<std::size_t> loop::NetVerbs::sock_recv_into(int sock, std::span<std::byte> memory) {
    auto call = [&] { return os::try_receive(sock, memory); };
    co_return co_await net::retry(sock, POLLIN, "sock_recv_into", call);
}

Coro<std::pair<std::string, SocketAddress>> loop::NetVerbs::sock_recvfrom(int sock, std::size_t n) {
    std::pair<std::string, SocketAddress> got(std::string(n, '\0'), SocketAddress());
    auto call = [&] { return os::try_receive_from(sock, net::memory_of(got.first), got.second); };
    got.first.resize(co_await net::retry(sock, POLLIN, "sock_recvfrom", call));
    co_return got;
}

Coro<std::pair<std::size_t, SocketAddress>> loop::NetVerbs::sock_recvfrom_into(
    int sock, std::span<std::byte> memory, std::size_t n) {
    if (n > memory.size()) throw std::invalid_argument("nbytes is greater than the buffer");
    if (n > 0) memory = memory.first(n);
    std::pair<std::size_t, SocketAddress> got;
    auto call = [&] { return os::try_receive_from(sock, memory, got.second); };
    got.first = co_await net::retry(sock, POLLIN, "sock_recvfrom_into", call);
    co_return got;
}

Coro<void> loop::NetVerbs::sock_sendall(int sock, std::span<const std::byte> data) {
    while (!data.empty()) {
        auto call = [&] { return os::try_send(sock, data); };
        const std::size_t sent = co_await net::retry(sock, POLLOUT, "sock_sendall", call);
        data = data.subspan(sent);
    }
}

ASYNCIO_CORO_WRAPPER Coro<void> loop::NetVerbs::sock_sendall(int sock, std::string_view text) {
    return sock_sendall(sock, net::bytes_of(text));
}

Coro<std::size_t> loop::NetVerbs::sock_sendto(int sock, std::span<const std::byte> data,
                                              SocketAddress to) {
    const std::string what = "sock_sendto " + to.to_string();
    auto call = [&] { return os::try_send_to(sock, data, &to); };
    co_return co_await net::retry(sock, POLLOUT, what.c_str(), call);
}

ASYNCIO_CORO_WRAPPER Coro<std::size_t> loop::NetVerbs::sock_sendto(int sock, std::string_view text,
                                                                   SocketAddress to) {
    return sock_sendto(sock, net::bytes_of(text), to);
}

Coro<void> loop::NetVerbs::sock_connect(int sock, SocketAddress address) {
    net::check_sock(get_running_loop(), sock);
    const std::string what = "connect " + address.to_string();
    const net::NonBlocking non_blocking(sock);  // connect knows no flag that says so
    const int result = os::connect(sock, address);
    if (result == 0) co_return;
    if (result != -EINPROGRESS && result != -EINTR) os::throw_system_error(-result, what);
    co_await net::finish_connect(sock, what);
}

namespace net {
namespace {

Coro<> connect_by_name(int sock, std::string host, std::uint16_t port) {
    EventLoop& loop = get_running_loop();
    const int family = family_of(sock);
    if (family == AF_UNIX) {
        co_await loop.sock_connect(sock, SocketAddress::unix_path(host));
        co_return;
    }
    const std::vector<SocketAddress> addresses = co_await resolve(host, port);
    const auto found = std::ranges::find_if(
        addresses, [&](const SocketAddress& address) { return address.family() == family; });
    if (found == addresses.end())
        os::throw_system_error(EADDRNOTAVAIL, "no address of the socket's family for " + host);
    co_await loop.sock_connect(sock, *found);
}

}  // namespace
}  // namespace net

ASYNCIO_CORO_WRAPPER Coro<void> loop::NetVerbs::sock_connect(int sock, std::string_view host,
                                                             Port port) {
    return net::connect_by_name(sock, std::string(host), port.number());
}

Coro<std::pair<os::Fd, SocketAddress>> loop::NetVerbs::sock_accept(int sock) {
    net::check_sock(get_running_loop(), sock);
    const bool blocks = !os::is_nonblocking(sock);
    int result = -EAGAIN;
    for (bool wait = blocks;; wait = blocks || result == -EAGAIN) {
        if (wait) co_await net::wait_until_ready(sock, POLLIN);
        result = os::try_accept(sock);
        const bool transient = result < 0 && os::is_transient_accept_error(-result);
        if (result != -EAGAIN && !transient) break;
    }
    if (result < 0) os::throw_system_error(-result, "sock_accept");
    std::pair<os::Fd, SocketAddress> accepted;
    accepted.first.reset(result);
    os::peer_address(result, accepted.second);
    co_return accepted;
}

// --- descriptors over unix sockets -------------------------------------------------------------

Coro<std::size_t> send_fds(int sock, std::span<const std::byte> data, std::vector<int> fds) {
    auto call = [&] { return os::try_send_descriptors(sock, data, fds); };
    co_return co_await net::retry(sock, POLLOUT, "send_fds", call);
}

ASYNCIO_CORO_WRAPPER Coro<std::size_t> send_fds(int sock, std::string_view text,
                                                std::vector<int> fds) {
    return send_fds(sock, net::bytes_of(text), std::move(fds));
}

Coro<ReceivedDescriptors> recv_fds(int sock, std::size_t n, std::size_t most_fds) {
    ReceivedDescriptors got;
    got.data.resize(n);
    std::vector<int> numbers(std::min(most_fds, os::most_passed_descriptors));
    got.fds.reserve(numbers.size());  // what has arrived must find its place
    auto call = [&] {
        const os::Received received =
            os::try_receive_descriptors(sock, net::memory_of(got.data), numbers);
        for (std::size_t i = 0; i < received.descriptors; ++i) got.fds.emplace_back(numbers[i]);
        got.truncated = received.truncated;
        return received.bytes;
    };
    got.data.resize(co_await net::retry(sock, POLLIN, "recv_fds", call));
    co_return got;
}

}  // namespace asyncio
