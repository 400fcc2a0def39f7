// SPDX-License-Identifier: MIT
#include <asyncio/net/resolve.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/sleep.hpp>

#include <algorithm>
#include <cerrno>
#include <stdexcept>

namespace asyncio {

namespace net {

namespace {

/// A bound socket, or none if this machine lacks the address or its family.
os::Fd bind_to(const SocketAddress& address, const ServerOptions& options) {
    const std::string what = "bind on address " + address.to_string();
    const int number = os::stream_socket(address.family());
    if (number == -EAFNOSUPPORT) return os::Fd();
    if (number < 0) os::throw_system_error(-number, what);
    os::Fd fd(number);
    using Option = os::SocketOption;
    if (options.reuse_address) os::set_option(fd.get(), Option::reuse_address, 1);
    if (options.reuse_port) {
        const int result = os::set_option(fd.get(), Option::reuse_port, 1);
        if (result < 0) throw std::invalid_argument("reuse_port is not supported here");
    }
    os::set_option(fd.get(), Option::ipv6_only, 1);  // has no meaning, and fails, on IPv4
    const int result = os::bind(fd.get(), address);
    if (result == -EADDRNOTAVAIL) return os::Fd();
    if (result < 0) os::throw_system_error(-result, what);
    return fd;
}

Coro<std::vector<SocketAddress>> resolve_all(std::vector<std::string> hosts, std::uint16_t port) {
    std::vector<SocketAddress> all;
    for (std::string& host : hosts) {
        std::vector<SocketAddress> addresses = co_await resolve(std::move(host), port);
        for (const SocketAddress& address : addresses)
            if (std::ranges::find(all, address) == all.end()) all.push_back(address);
    }
    co_return all;
}

void check_adopted(int sock) {
    SocketAddress name;
    const int result = os::local_address(sock, name);
    if (result < 0) os::throw_system_error(-result, "getsockname");
    if (!os::is_stream_socket(sock)) throw std::invalid_argument("A Stream Socket was expected");
}

}  // namespace

Coro<Server> start_server(std::unique_ptr<ClientHandler> handler, std::vector<std::string> hosts,
                          std::uint16_t port, ServerOptions options) {
    if (hosts.empty() == (options.sock < 0))
        throw std::invalid_argument(hosts.empty()
                                        ? "Neither host/port nor sock were specified"
                                        : "host/port and sock can not be specified at the same "
                                          "time");
    Ref<ServerCore> core(new ServerCore(get_running_loop(), std::move(handler), options));
    if (options.sock >= 0) {
        check_adopted(options.sock);
        os::set_nonblocking(options.sock);
        core->add_socket(os::Fd(options.sock));
    }
    std::vector<SocketAddress> addresses = co_await resolve_all(std::move(hosts), port);
    for (const SocketAddress& address : addresses) {
        os::Fd fd = bind_to(address, options);
        if (fd) core->add_socket(std::move(fd));
    }
    if (core->sockets().empty())
        os::throw_system_error(
            EADDRNOTAVAIL,
            "could not bind on any address out of " +
                (addresses.empty() ? std::string("none") : addresses.front().to_string()));
    if (options.start_serving) {
        core->start_serving();
        co_await sleep(
            Duration::zero());  // as in asyncio: the listener is in place when this returns
    }
    co_return Server(std::move(core));
}

Coro<> nothing_to_await() { co_return; }

Coro<> wait_closed(Ref<ServerCore> core) {
    while (!core->finished()) co_await task::NextWake(core->changed());
}

namespace {

Coro<> wait_until_closed(Ref<ServerCore> core) {
    while (!core->is_closed()) co_await task::NextWake(core->changed());
}

}  // namespace

Coro<> serve_forever(Ref<ServerCore> core) {
    if (core->served_forever)
        throw std::logic_error("server is already being awaited on serve_forever()");
    core->start_serving();
    core->served_forever = true;
    Outcome<void> outcome = co_await as_outcome(wait_until_closed(core));
    core->served_forever = false;
    if (!outcome) {
        core->close();
        co_await wait_closed(core);
        outcome.value();
    }
}

}  // namespace net

std::vector<ServerSocket> Server::sockets() const {
    std::vector<ServerSocket> sockets;
    for (const int fd : core_->sockets()) {
        SocketAddress name;
        os::local_address(fd, name);
        sockets.emplace_back(fd, name);
    }
    return sockets;
}

Coro<> Server::aenter() const { co_return; }

Coro<bool> Server::aexit(std::exception_ptr) const {
    Server self = *this;
    self.close();
    co_await self.wait_closed();
    co_return false;
}

}  // namespace asyncio
