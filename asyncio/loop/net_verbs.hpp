// SPDX-License-Identifier: MIT
//
// NetVerbs: what asyncio has as methods of the loop and what belongs to the net room here. Declared
// only, so that programs spell it as asyncio does and the loop still knows no socket; defined, and
// described, in the headers named below. All of them are for the running loop.
#pragma once

#include <asyncio/os/port.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio {

template <class T>
class Coro;
class SocketAddress;
struct ConnectOptions;
struct ServerOptions;
struct DatagramOptions;
struct SendfileOptions;
namespace os {
class Fd;
}
namespace stream {
class Transport;
}

namespace loop {

class NetVerbs {
  public:
    // --- connections with protocols; see net/create_connection.hpp, create_server.hpp ------

    template <class F>
    auto create_connection(F factory, std::string_view host, Port port);
    template <class F>
    auto create_connection(F factory, std::string_view host, Port port, ConnectOptions options);
    template <class F>
    auto create_connection(F factory, ConnectOptions options);
    template <class F>
    auto create_unix_connection(F factory, std::string_view path);
    template <class F>
    auto create_unix_connection(F factory, std::string_view path, ConnectOptions options);
    template <class F>
    auto create_unix_connection(F factory, ConnectOptions options);
    template <class F>
    auto connect_accepted_socket(F factory, int sock);
    template <class F>
    auto connect_accepted_socket(F factory, int sock, ConnectOptions options);
    template <class F>
    auto create_server(F factory, std::string_view host, Port port);
    template <class F>
    auto create_server(F factory, std::string_view host, Port port, ServerOptions options);
    template <class F>
    auto create_server(F factory, ServerOptions options);
    template <class F>
    auto create_unix_server(F factory, std::string_view path);
    template <class F>
    auto create_unix_server(F factory, std::string_view path, ServerOptions options);
    template <class F>
    auto create_datagram_endpoint(F factory, DatagramOptions options);
    template <class F>
    auto connect_read_pipe(F factory, int fd);
    template <class F>
    auto connect_write_pipe(F factory, int fd);

    // --- sockets and descriptors of the caller; see net/sock.hpp and net/sendfile.hpp ------

    Coro<std::string> sock_recv(int sock, std::size_t n);
    Coro<std::size_t> sock_recv_into(int sock, std::span<std::byte> memory);
    Coro<std::pair<std::string, SocketAddress>> sock_recvfrom(int sock, std::size_t n);
    Coro<std::pair<std::size_t, SocketAddress>> sock_recvfrom_into(int sock,
                                                                   std::span<std::byte> memory,
                                                                   std::size_t n = 0);
    Coro<void> sock_sendall(int sock, std::span<const std::byte> data);
    Coro<void> sock_sendall(int sock, std::string_view text);
    Coro<std::size_t> sock_sendto(int sock, std::span<const std::byte> data, SocketAddress to);
    Coro<std::size_t> sock_sendto(int sock, std::string_view text, SocketAddress to);
    Coro<void> sock_connect(int sock, SocketAddress address);
    Coro<void> sock_connect(int sock, std::string_view host, Port port);
    Coro<std::pair<os::Fd, SocketAddress>> sock_accept(int sock);
    Coro<std::size_t> sock_sendfile(int sock, int file);
    Coro<std::size_t> sock_sendfile(int sock, int file, SendfileOptions options);
    Coro<std::size_t> sendfile(stream::Transport& transport, int file);
    Coro<std::size_t> sendfile(stream::Transport& transport, int file, SendfileOptions options);

  protected:
    ~NetVerbs() = default;
};

}  // namespace loop
}  // namespace asyncio
