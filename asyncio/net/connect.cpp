// SPDX-License-Identifier: MIT
#include <asyncio/base/exception_group.hpp>
#include <asyncio/net/connect.hpp>
#include <asyncio/net/operation_awaiter.hpp>
#include <asyncio/net/resolve.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/staggered_race.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <vector>

#include <sys/socket.h>

namespace asyncio::net {

namespace {

using Addresses = std::vector<SocketAddress>;

/// Bind to the first of `locals` that has the remote's family and works.
void bind_local(int fd, const SocketAddress& remote, const Addresses& locals) {
    if (locals.empty()) return;
    int error = 0;
    std::string tried;
    for (const SocketAddress& local : locals) {
        if (local.family() != remote.family()) continue;
        error = -os::bind(fd, local);
        if (error == 0) return;
        tried = local.to_string();
    }
    if (error == 0) {
        error = EADDRNOTAVAIL;
        tried = "no matching local address with the family of " + remote.to_string();
    }
    os::throw_system_error(error, "bind on local address " + tried);
}

Coro<Socket> connect_to(SocketAddress remote, const Addresses& locals) {
    const std::string what = "connect " + remote.to_string();
    const int number = os::stream_socket(remote.family());
    if (number < 0) os::throw_system_error(-number, what);
    Socket socket(get_running_loop(), number);
    bind_local(socket.get(), remote, locals);
    const int result = co_await Connect(get_running_loop(), socket.get(), remote);
    if (result < 0) os::throw_system_error(-result, what);
    co_return socket;
}

/// What() of an attempt's error.
std::string text_of(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "unknown";
    }
}

/// One error for all: the first if all say the same, else one that lists them.
[[noreturn]] void throw_combined(const std::vector<std::exception_ptr>& errors) {
    if (errors.empty()) throw TimeoutError();
    const std::string first = text_of(errors.front());
    const bool alike = std::ranges::all_of(
        errors, [&](const std::exception_ptr& e) { return text_of(e) == first; });
    if (alike) std::rethrow_exception(errors.front());
    std::string text = "Multiple exceptions: " + first;
    for (std::size_t i = 1; i < errors.size(); ++i) text += ", " + text_of(errors[i]);
    throw std::system_error(std::make_error_code(std::errc::not_connected), text);
}

// The system does not tell when a unix server's queue has room again.
constexpr Duration kFirstRetry = std::chrono::microseconds(500);
constexpr Duration kLongestRetry = std::chrono::milliseconds(32);

}  // namespace

std::vector<SocketAddress> interleaved(const std::vector<SocketAddress>& addresses,
                                       unsigned first) {
    std::vector<Addresses> families;
    for (const SocketAddress& address : addresses) {
        const auto same = [&](const Addresses& f) {
            return f.front().family() == address.family();
        };
        const auto found = std::ranges::find_if(families, same);
        if (found != families.end())
            found->push_back(address);
        else
            families.push_back(Addresses(1, address));
    }
    Addresses order;
    if (families.empty()) return order;
    std::vector<std::size_t> next(families.size(), 0);
    for (; next[0] + 1 < first && next[0] < families[0].size(); ++next[0])
        order.push_back(families[0][next[0]]);
    while (order.size() < addresses.size())
        for (std::size_t i = 0; i < families.size(); ++i)
            if (next[i] < families[i].size()) order.push_back(families[i][next[i]++]);
    return order;
}

namespace {
struct Attempt {
    const SocketAddress& remote;
    const Addresses& locals;

    ASYNCIO_CORO_WRAPPER Coro<Socket> operator()() const { return connect_to(remote, locals); }
};
}  // namespace

/// The first that succeeds. Without a delay, an attempt begins when the former has failed.
Coro<Socket> connect_to_any(std::vector<SocketAddress> remotes, std::vector<SocketAddress> locals,
                            std::optional<Duration> delay, bool all_errors) {
    if (remotes.size() == 1 && !all_errors) co_return co_await connect_to(remotes[0], locals);
    std::vector<Attempt> attempts;
    for (const SocketAddress& remote : remotes) attempts.push_back(Attempt{remote, locals});
    auto race = co_await staggered_race(std::move(attempts), delay);
    if (race.result) co_return std::move(*race.result);
    std::erase(race.exceptions, nullptr);
    if (all_errors) throw ExceptionGroup("create_connection failed", std::move(race.exceptions));
    throw_combined(race.exceptions);
}

namespace {

Coro<Socket> connect_to_host(ConnectRequest request) {
    Addresses remotes = co_await resolve(std::move(request.host), request.port);
    if (request.interleave > 0) remotes = interleaved(remotes, request.interleave);
    Addresses locals;
    if (!request.local_host.empty() || request.local_port != 0)
        locals = co_await resolve(std::move(request.local_host), request.local_port);
    co_return co_await connect_to_any(std::move(remotes), std::move(locals), request.delay,
                                      request.all_errors);
}

Coro<Socket> connect_to_path(std::string path) {
    const SocketAddress remote = SocketAddress::unix_path(path);
    const std::string what = "connect " + remote.to_string();
    const int number = os::stream_socket(AF_UNIX);
    if (number < 0) os::throw_system_error(-number, what);
    Socket socket(get_running_loop(), number);
    for (Duration pause = kFirstRetry;; pause = std::min(pause * 2, kLongestRetry)) {
        const int result = co_await Connect(get_running_loop(), socket.get(), remote);
        if (result == 0) break;
        if (result != -EAGAIN) os::throw_system_error(-result, what);
        co_await sleep(pause);
    }
    co_return socket;
}

Coro<Socket> adopt(int sock, bool is_unix) {
    if (is_unix && !os::is_unix_stream_socket(sock))
        throw std::invalid_argument("A UNIX Domain Stream Socket was expected");
    if (!os::is_stream_socket(sock)) throw std::invalid_argument("A Stream Socket was expected");
    os::set_nonblocking(sock);
    co_return Socket(get_running_loop(), sock);
}

}  // namespace

namespace {

stream::SecureArguments secure_arguments(const ConnectOptions& options) {
    return {.ssl = options.ssl,
            .server_hostname = options.server_hostname,
            .handshake_timeout = options.ssl_handshake_timeout,
            .shutdown_timeout = options.ssl_shutdown_timeout};
}

}  // namespace

ConnectRequest to_host(std::string_view host, Port port, const ConnectOptions& options) {
    if (options.sock >= 0)
        throw std::invalid_argument("host/port and sock can not be specified at the same time");
    ConnectRequest request;
    request.host = host;
    request.port = port.number();
    request.local_host = options.local_addr.host;
    request.local_port = options.local_addr.port.number();
    request.security = stream::client_security(secure_arguments(options), host);
    request.delay = options.happy_eyeballs_delay;
    request.interleave = options.interleave.value_or(options.happy_eyeballs_delay ? 1 : 0);
    request.all_errors = options.all_errors;
    return request;
}

ConnectRequest to_path(std::string_view path, const ConnectOptions& options) {
    if (options.sock >= 0)
        throw std::invalid_argument("path and sock can not be specified at the same time");
    if (!options.local_addr.host.empty() || options.local_addr.port != 0)
        throw std::invalid_argument("a unix socket has no local_addr");
    ConnectRequest request;
    request.kind = ConnectRequest::Kind::unix_path;
    request.host = path;
    request.security = stream::client_security(secure_arguments(options), std::nullopt);
    return request;
}

ConnectRequest over_socket(const ConnectOptions& options) {
    if (options.sock < 0)
        throw std::invalid_argument("host and port was not specified and no sock specified");
    ConnectRequest request;
    request.kind = ConnectRequest::Kind::socket;
    request.sock = options.sock;
    request.security = stream::client_security(secure_arguments(options), std::nullopt);
    return request;
}

ConnectRequest over_unix_socket(const ConnectOptions& options) {
    if (options.sock < 0) throw std::invalid_argument("no path and sock were specified");
    ConnectRequest request;
    request.kind = ConnectRequest::Kind::unix_socket;
    request.sock = options.sock;
    request.security = stream::client_security(secure_arguments(options), std::nullopt);
    return request;
}

ConnectRequest over_accepted_socket(const ConnectOptions& options) {
    if (options.server_hostname)
        throw std::invalid_argument("server_hostname is for the client's side");
    ConnectOptions plain = options;
    plain.ssl = nullptr;
    plain.ssl_handshake_timeout = plain.ssl_shutdown_timeout = std::nullopt;
    ConnectRequest request = over_socket(plain);
    request.security = stream::server_security(secure_arguments(options));
    return request;
}

Coro<Ref<stream::Transport>> open_secure(Socket socket, Ref<stream::Protocol> protocol,
                                         stream::Security security) {
    const Ref<stream::SecureLayer> layer = security.wrap(std::move(protocol));
    SocketTransport::open(get_running_loop(), socket.take(), layer);
    co_await stream::handshake(layer);
    co_return Ref<stream::Transport>(&layer->transport());
}

ASYNCIO_CORO_WRAPPER Coro<Socket> connect(ConnectRequest request) {
    switch (request.kind) {
        case ConnectRequest::Kind::inet:
            break;
        case ConnectRequest::Kind::unix_path:
            return connect_to_path(std::move(request.host));
        case ConnectRequest::Kind::socket:
            return adopt(request.sock, false);
        case ConnectRequest::Kind::unix_socket:
            return adopt(request.sock, true);
    }
    return connect_to_host(std::move(request));
}

}  // namespace asyncio::net
