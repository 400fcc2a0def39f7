// SPDX-License-Identifier: MIT
//
// What the tests of connections share: raw sockets as peers, and counters of what might leak.
#pragma once

#include <asyncio/net/open_connection.hpp>
#include <asyncio/net/server.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/stream/stream_fixture_test.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include <dirent.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace asyncio::net_tests {

using namespace stream_tests;
using os::Fd;

/// Descriptors this process has open (its own look at them not counted).
inline int open_descriptors() {
    int count = -3;  // ".", ".." and the directory itself
    DIR* directory = ::opendir("/proc/self/fd");
    while (::readdir(directory) != nullptr) ++count;
    ::closedir(directory);
    return count;
}

/// Let the loop turn until `condition` holds; a test that waits for nothing fails after 20 s.
template <class Condition>
Coro<bool> until(Condition& condition) {
    const auto give_up = std::chrono::steady_clock::now() + 20s;
    for (int i = 0; !condition(); ++i) {
        if (i % 16 == 15) ::sched_yield();
        if (std::chrono::steady_clock::now() > give_up) co_return false;
        co_await sleep(0s);
    }
    co_return true;
}

inline std::uint16_t port_of(const Server& server) {
    return server.sockets().at(0).getsockname().port();
}

inline SocketAddress loopback(std::uint16_t port) {
    return *SocketAddress::parse("127.0.0.1", port);
}

/// A listening socket of the test's own, and its address.
struct RawListener {
    explicit RawListener(int backlog = 100) : fd(os::stream_socket(AF_INET)) {
        os::bind(fd.get(), loopback(0));
        os::listen(fd.get(), backlog);
        os::local_address(fd.get(), address);
    }
    /// Takes one connection that is there; none: an empty Fd.
    Fd accept() const {
        const int result = os::try_accept(fd.get());
        return result < 0 ? Fd() : Fd(result);
    }

    Fd fd;
    SocketAddress address;
};

/// A non-blocking socket connected (or about to be) to that port of the loopback.
inline Fd raw_connect(std::uint16_t port) {
    Fd fd(os::stream_socket(AF_INET));
    os::connect(fd.get(), loopback(port));
    return fd;
}

/// Blocks until the listening side has this connection, too: connect() ends a packet earlier, and
/// who closes the server in between resets it. A byte tells, by being acknowledged.
inline void wait_until_arrived(const Fd& fd) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    bool sent = false;
    int unacknowledged = 1;
    while (!sent || unacknowledged != 0) {
        if (std::chrono::steady_clock::now() > limit) throw std::runtime_error("no connection");
        if (!sent) sent = ::send(fd.get(), "x", 1, MSG_NOSIGNAL) == 1;
        ::ioctl(fd.get(), SIOCOUTQ, &unacknowledged);
        if (!sent || unacknowledged != 0) ::sched_yield();
    }
}

/// Closing it sends a reset, and leaves nothing in TIME_WAIT.
inline void reset(Fd& fd) {
    os::set_option(fd.get(), os::SocketOption::linger_reset, 1);
    fd.reset();
}

/// Two connected TCP sockets, both non-blocking.
inline std::pair<Fd, Fd> tcp_pair() {
    const RawListener listener;
    Fd one = raw_connect(listener.address.port());
    Fd two = listener.accept();
    for (int i = 0; !two && i < 1000; ++i) {
        ::sched_yield();
        two = listener.accept();
    }
    return std::pair<Fd, Fd>(std::move(one), std::move(two));
}

/// All that is there to be received now.
inline std::string raw_receive(const Fd& fd, std::size_t most = 1 << 20) {
    std::string data(most, '\0');
    const std::ptrdiff_t count = os::try_receive(fd.get(), std::as_writable_bytes(std::span(data)));
    data.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return data;
}

/// True if the peer of `fd` has sent its end of stream or a reset, and nothing else is left.
inline bool raw_ended(const Fd& fd) {
    std::byte one[1];
    const std::ptrdiff_t count = os::try_receive(fd.get(), one);
    return count == 0 || (count < 0 && count != -EAGAIN);
}

inline void raw_send(const Fd& fd, std::string_view data) {
    EXPECT_EQ(os::try_send(fd.get(), bytes_of(data)), static_cast<std::ptrdiff_t>(data.size()));
}

/// A connection of ours to a raw socket.
struct Peer {
    explicit Peer(std::size_t limit = stream::StreamCore::kDefaultLimit)
        : Peer(tcp_pair(), limit) {}
    Peer(std::pair<Fd, Fd> sockets, std::size_t limit)
        : raw(std::move(sockets.second)),
          core(new stream::StreamCore(limit)),
          transport(net::SocketTransport::open(get_running_loop(), std::move(sockets.first), core)),
          reader(core),
          writer(core) {}

    Fd raw;
    Ref<stream::StreamCore> core;
    Ref<net::SocketTransport> transport;
    StreamReader reader;
    StreamWriter writer;
};

inline Coro<> echo(StreamReader& reader, StreamWriter& writer) {
    for (;;) {
        const std::string data = co_await reader.read(4096);
        if (data.empty()) co_return;
        writer.write(data);
        co_await writer.drain();
    }
}

/// Ask an echo server, and close.
inline Coro<std::string> ask(std::uint16_t port, std::string question) {
    auto streams = co_await open_connection("127.0.0.1", port);
    streams.second.write(question);
    const std::string answer = co_await streams.first.readexactly(question.size());
    streams.second.close();
    co_await streams.second.wait_closed();
    co_return answer;
}

/// Close and wait; where something does not end, the test fails instead of hanging.
inline Coro<> end(const Server& server) {
    server.close();
    server.abort_clients();
    Task<> closed = create_task(server.wait_closed());
    auto is_closed = [&] { return closed.done(); };
    const bool in_time = co_await until(is_closed);
    EXPECT_TRUE(in_time) << "a handler or a connection of this server does not end";
    if (!in_time) closed.cancel();
}

}  // namespace asyncio::net_tests
