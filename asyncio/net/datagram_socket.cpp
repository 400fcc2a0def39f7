// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/net/datagram_socket.hpp>
#include <asyncio/net/resolve.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <sys/socket.h>

namespace asyncio::net {

namespace {

bool is_path(const std::string& host) {
    return host.find('/') != host.npos || host.starts_with('\0');
}

/// A local and a remote address of one family; each may be missing (family 0).
struct Ends {
    SocketAddress local;
    SocketAddress remote;
};

using Addresses = std::vector<SocketAddress>;

std::vector<Ends> pair_up(const Addresses& locals, const Addresses& remotes) {
    std::vector<Ends> pairs;
    if (remotes.empty())
        for (const SocketAddress& local : locals) pairs.push_back({local, SocketAddress()});
    if (locals.empty())
        for (const SocketAddress& remote : remotes) pairs.push_back({SocketAddress(), remote});
    for (const SocketAddress& local : locals)
        for (const SocketAddress& remote : remotes)
            if (local.family() == remote.family()) pairs.push_back({local, remote});
    return pairs;
}

void check(int result, const std::string& what) {
    if (result < 0) os::throw_system_error(-result, what);
}

void bind_to(int fd, const SocketAddress& local) {
    const std::string path = local.is_unix() ? local.host() : std::string();
    if (!path.empty() && path.front() != '\0' && os::remove_stale_socket(path) < 0)
        log(LogLevel::warning, "Unable to check or remove stale UNIX socket " + path);
    check(os::bind(fd, local), "bind on address " + local.to_string());
}

DatagramSocket open_ends(const Ends& ends, int family, const DatagramRequest& request) {
    const int number = os::datagram_socket(family);
    check(number, "datagram socket");
    DatagramSocket socket;
    socket.fd.reset(number);
    if (request.reuse_port)
        check(os::set_option(number, os::SocketOption::reuse_port, 1), "reuse_port");
    if (request.allow_broadcast)
        check(os::set_option(number, os::SocketOption::broadcast, 1), "allow_broadcast");
    if (ends.local.family() != 0) bind_to(number, ends.local);
    socket.remote = ends.remote;
    if (ends.remote.family() == 0 || request.allow_broadcast) return socket;
    check(os::connect(number, ends.remote), "connect " + ends.remote.to_string());
    socket.connected = true;
    return socket;
}

DatagramSocket adopt(int sock) {
    if (!os::is_datagram_socket(sock))
        throw std::invalid_argument("A Datagram Socket was expected");
    os::set_nonblocking(sock);
    DatagramSocket socket;
    socket.connected = os::peer_address(sock, socket.remote) == 0 && socket.remote.family() != 0;
    socket.fd.reset(sock);
    return socket;
}

DatagramSocket open_first(const std::vector<Ends>& pairs, const DatagramRequest& request) {
    std::optional<std::system_error> first;
    for (const Ends& ends : pairs) {
        const SocketAddress& either = ends.local.family() != 0 ? ends.local : ends.remote;
        try {
            return open_ends(ends, either.family(), request);
        } catch (const std::system_error& error) {
            if (!first) first = error;
        }
    }
    throw *first;
}

/// One end's addresses; none if it was not asked for.
Coro<Addresses> look_up(std::string host, std::uint16_t port, int family) {
    Addresses addresses;
    if (host.empty() && port == 0) co_return addresses;
    if (family == AF_UNIX || (family == 0 && is_path(host))) {
        addresses.push_back(SocketAddress::unix_path(host));
        co_return addresses;
    }
    addresses = co_await resolve(std::move(host), port);
    if (family != 0)
        std::erase_if(addresses, [&](const SocketAddress& a) { return a.family() != family; });
    co_return addresses;
}

}  // namespace

DatagramRequest request_of(const DatagramOptions& options) {
    DatagramRequest request;
    request.local_host = options.local.host;
    request.local_port = options.local.port.number();
    request.remote_host = options.remote.host;
    request.remote_port = options.remote.port.number();
    request.family = options.family;
    request.reuse_port = options.reuse_port;
    request.allow_broadcast = options.allow_broadcast;
    request.sock = options.sock;
    const bool has_local = !request.local_host.empty() || request.local_port != 0;
    const bool has_remote = !request.remote_host.empty() || request.remote_port != 0;
    const bool others = has_local || has_remote || request.family != 0 || request.reuse_port ||
                        request.allow_broadcast;
    if (request.sock >= 0 && others)
        throw std::invalid_argument(
            "socket modifier keyword arguments can not be used when sock "
            "is specified");
    if (request.sock < 0 && !has_local && !has_remote && request.family == 0)
        throw std::invalid_argument("unexpected address family");
    return request;
}

Coro<DatagramSocket> open_datagram_socket(DatagramRequest request) {
    if (request.sock >= 0) co_return adopt(request.sock);
    const bool unbound = request.local_host.empty() && request.local_port == 0 &&
                         request.remote_host.empty() && request.remote_port == 0;
    if (unbound) co_return open_ends(Ends(), request.family, request);
    Addresses locals = co_await look_up(request.local_host, request.local_port, request.family);
    Addresses remotes = co_await look_up(request.remote_host, request.remote_port, request.family);
    const std::vector<Ends> pairs = pair_up(locals, remotes);
    if (pairs.empty()) throw std::invalid_argument("can not get address information");
    co_return open_first(pairs, request);
}

}  // namespace asyncio::net
