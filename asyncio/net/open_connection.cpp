// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/net/open_connection.hpp>
#include <asyncio/net/operation_awaiter.hpp>
#include <asyncio/net/resolve.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace asyncio {

namespace {

using Streams = std::pair<StreamReader, StreamWriter>;

Streams make_streams(os::Fd fd, std::size_t limit) {
    const Ref<stream::StreamCore> core(new stream::StreamCore(limit));
    net::SocketTransport::open(get_running_loop(), std::move(fd), core);
    return Streams(StreamReader(core), StreamWriter(core));
}

/// Bind to the first of `locals` that has the remote's family and works.
void bind_local(int fd, const SocketAddress& remote, const std::vector<SocketAddress>& locals) {
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

/// A socket while it connects. The kernel knows it then, so the kernel has to close it.
class Connecting {
  public:
    Connecting(EventLoop& loop, int fd) noexcept : loop_(loop), fd_(fd) {}
    Connecting(const Connecting&) = delete;
    Connecting& operator=(const Connecting&) = delete;
    ~Connecting() {
        if (fd_) loop_.kernel().close(fd_.release());
    }

    int get() const noexcept { return fd_.get(); }
    os::Fd take() noexcept { return std::move(fd_); }

  private:
    EventLoop& loop_;
    os::Fd fd_;
};

Coro<os::Fd> connect_to(SocketAddress remote, const std::vector<SocketAddress>& locals) {
    const std::string what = "connect " + remote.to_string();
    const int number = os::stream_socket(remote.family());
    if (number < 0) os::throw_system_error(-number, what);
    Connecting fd(get_running_loop(), number);
    bind_local(fd.get(), remote, locals);
    const int result = co_await net::Connect(get_running_loop(), fd.get(), remote);
    if (result < 0) os::throw_system_error(-result, what);
    co_return fd.take();
}

/// One error for all: the first if all say the same, else one that lists them.
[[noreturn]] void throw_combined(const std::vector<std::system_error>& errors) {
    const std::system_error& first = errors.front();
    const bool alike = std::ranges::all_of(errors, [&](const std::system_error& e) {
        return std::string_view(e.what()) == first.what();
    });
    if (alike) throw first;
    std::string text = "Multiple exceptions: ";
    for (const std::system_error& error : errors) {
        if (&error != &first) text += ", ";
        text += error.what();
    }
    throw std::system_error(std::make_error_code(std::errc::not_connected), text);
}

Coro<os::Fd> connect_to_any(std::vector<SocketAddress> remotes, std::vector<SocketAddress> locals) {
    std::vector<std::system_error> errors;
    for (const SocketAddress& remote : remotes) {
        try {
            os::Fd fd = co_await connect_to(remote, locals);
            co_return fd;
        } catch (const std::system_error& error) {
            errors.push_back(error);
        }
    }
    throw_combined(errors);
}

Coro<Streams> connect(std::string host, std::uint16_t port, std::size_t limit,
                      std::string local_host, std::uint16_t local_port) {
    std::vector<SocketAddress> remotes = co_await net::resolve(std::move(host), port);
    std::vector<SocketAddress> locals;
    if (!local_host.empty() || local_port != 0)
        locals = co_await net::resolve(std::move(local_host), local_port);
    os::Fd fd = co_await connect_to_any(std::move(remotes), std::move(locals));
    co_return make_streams(std::move(fd), limit);
}

Coro<Streams> adopt(int sock, std::size_t limit) {
    if (!os::is_stream_socket(sock)) throw std::invalid_argument("A Stream Socket was expected");
    os::set_nonblocking(sock);
    co_return make_streams(os::Fd(sock), limit);
}

}  // namespace

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_connection(std::string_view host, std::uint16_t port, ConnectOptions options) {
    if (options.sock >= 0)
        throw std::invalid_argument("host/port and sock can not be specified at the same time");
    return connect(std::string(host), port, options.limit, std::string(options.local_addr.host),
                   options.local_addr.port);
}

ASYNCIO_CORO_WRAPPER
Coro<Streams> open_connection(ConnectOptions options) {
    if (options.sock < 0)
        throw std::invalid_argument("host and port was not specified and no sock specified");
    return adopt(options.sock, options.limit);
}

}  // namespace asyncio
