// SPDX-License-Identifier: MIT
#include <asyncio/net/connect.hpp>
#include <asyncio/net/open_connection.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/socket.hpp>

#include <stdexcept>
#include <string>

namespace asyncio {

namespace {

using Streams = std::pair<StreamReader, StreamWriter>;

Streams make_streams(os::Fd fd, std::size_t limit) {
    const Ref<stream::StreamCore> core(new stream::StreamCore(limit));
    net::SocketTransport::open(get_running_loop(), std::move(fd), core);
    return Streams(StreamReader(core), StreamWriter(core));
}

Coro<Streams> connect(net::ConnectRequest request, std::size_t limit) {
    os::Fd fd = co_await net::connect(std::move(request));
    co_return make_streams(std::move(fd), limit);
}

Coro<Streams> connect_unix(std::string path, std::size_t limit) {
    os::Fd fd = co_await net::connect_unix(std::move(path));
    co_return make_streams(std::move(fd), limit);
}

using Check = bool (*)(int fd) noexcept;

Coro<Streams> adopt(int sock, std::size_t limit, Check check, const char* expected) {
    if (!check(sock)) throw std::invalid_argument(expected);
    os::set_nonblocking(sock);
    co_return make_streams(os::Fd(sock), limit);
}

net::ConnectRequest request_of(std::string_view host, std::uint16_t port,
                               const ConnectOptions& options) {
    return {
        .host = std::string(host),
        .port = port,
        .local_host = std::string(options.local_addr.host),
        .local_port = options.local_addr.port,
    };
}

}  // namespace

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_connection(std::string_view host, std::uint16_t port, ConnectOptions options) {
    if (options.sock >= 0)
        throw std::invalid_argument("host/port and sock can not be specified at the same time");
    return connect(request_of(host, port, options), options.limit);
}

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_connection(ConnectOptions options) {
    if (options.sock < 0)
        throw std::invalid_argument("host and port was not specified and no sock specified");
    return adopt(options.sock, options.limit, &os::is_stream_socket,
                 "A Stream Socket was expected");
}

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_unix_connection(std::string_view path, ConnectOptions options) {
    if (options.sock >= 0)
        throw std::invalid_argument("path and sock can not be specified at the same time");
    if (!options.local_addr.host.empty() || options.local_addr.port != 0)
        throw std::invalid_argument("a unix socket has no local_addr");
    return connect_unix(std::string(path), options.limit);
}

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_unix_connection(ConnectOptions options) {
    if (options.sock < 0) throw std::invalid_argument("no path and sock were specified");
    return adopt(options.sock, options.limit, &os::is_unix_stream_socket,
                 "A UNIX Domain Stream Socket was expected");
}

}  // namespace asyncio
