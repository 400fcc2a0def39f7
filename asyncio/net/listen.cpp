// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/net/listen.hpp>
#include <asyncio/net/resolve.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/task/sleep.hpp>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>

#include <sys/socket.h>

namespace asyncio::net {

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

/// As in asyncio: the listener is in place when this returns.
Coro<Ref<ServerCore>> serve(Ref<ServerCore> core) {
    if (core->options().start_serving) {
        core->start_serving();
        try {
            co_await sleep(Duration::zero());
        } catch (...) {  // cancelled: nobody will ever have it to close it
            core->close();
            core->abort_clients();
            throw;
        }
    }
    co_return core;
}

void adopt(ServerCore& core, int sock) {
    os::set_nonblocking(sock);
    core.add_socket(os::Fd(sock));
}

os::Fd bind_unix(const SocketAddress& address, const std::string& path,
                 const ServerOptions& options) {
    const std::string what = "bind on unix socket " + address.to_string();
    const int number = os::stream_socket(AF_UNIX);
    if (number < 0) os::throw_system_error(-number, what);
    os::Fd fd(number);
    const bool abstract = path.front() == '\0';
    if (!abstract) {
        const int removed = os::remove_stale_socket(path);
        if (removed < 0)
            log(LogLevel::warning, "Unable to check or remove stale UNIX socket " + path);
    }
    const bool restricted = !abstract && options.permissions >= 0;
    const auto permissions = static_cast<unsigned>(options.permissions);
    if (restricted) os::limit_permissions(fd.get(), permissions);
    const int result = os::bind(fd.get(), address);
    if (result < 0) os::throw_system_error(-result, what);
    const int set = restricted ? os::set_permissions(path, permissions) : 0;
    if (set < 0) os::throw_system_error(-set, "set the permissions of " + path);
    return fd;
}

}  // namespace

Coro<Ref<ServerCore>> listen(std::unique_ptr<Acceptor> acceptor, std::vector<std::string> hosts,
                             Port port, ServerOptions options) {
    if (hosts.empty() == (options.sock < 0))
        throw std::invalid_argument(hosts.empty()
                                        ? "Neither host/port nor sock were specified"
                                        : "host/port and sock can not be specified at the same "
                                          "time");
    const Ref<ServerCore> core(new ServerCore(get_running_loop(), std::move(acceptor), options));
    if (options.sock >= 0) {
        check_adopted(options.sock);
        adopt(*core, options.sock);
    }
    std::vector<SocketAddress> addresses = co_await resolve_all(std::move(hosts), port.number());
    for (const SocketAddress& address : addresses) {
        os::Fd fd = bind_to(address, options);
        if (fd) core->add_socket(std::move(fd));
    }
    if (core->sockets().empty())
        os::throw_system_error(
            EADDRNOTAVAIL,
            "could not bind on any address out of " +
                (addresses.empty() ? std::string("none") : addresses.front().to_string()));
    co_return co_await serve(core);
}

Coro<Ref<ServerCore>> listen_unix(std::unique_ptr<Acceptor> acceptor, std::string path,
                                  ServerOptions options) {
    if (path.empty() == (options.sock < 0))
        throw std::invalid_argument(path.empty()
                                        ? "path was not specified, and no sock specified"
                                        : "path and sock can not be specified at the same time");
    const Ref<ServerCore> core(new ServerCore(get_running_loop(), std::move(acceptor), options));
    if (options.sock >= 0) {
        if (!os::is_unix_stream_socket(options.sock))
            throw std::invalid_argument("A UNIX Domain Stream Socket was expected");
        adopt(*core, options.sock);
    } else {
        os::Fd fd = bind_unix(SocketAddress::unix_path(path), path, options);
        ServerCore::SocketFile file;
        if (options.cleanup_socket && path.front() != '\0')
            file = {.path = path, .identity = os::identity_of(path)};
        core->add_socket(std::move(fd), std::move(file));
    }
    co_return co_await serve(core);
}

}  // namespace asyncio::net
