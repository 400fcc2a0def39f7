// SPDX-License-Identifier: MIT
#include <asyncio/os/fd.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/os/socket_address.hpp>

#include <array>
#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::os {
namespace {

std::span<const std::byte> bytes(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

TEST(Socket, D12_descriptors_are_close_on_exec_and_non_blocking) {
    const Fd stream(stream_socket(AF_INET));
    const Fd datagram(datagram_socket(AF_INET6));
    for (const Fd* fd : {&stream, &datagram}) {
        ASSERT_TRUE(*fd);
        EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_NE(::fcntl(fd->get(), F_GETFL) & O_NONBLOCK, 0);
    }
    EXPECT_LT(stream_socket(12345), 0);
}

TEST(Socket, connects_sends_and_receives) {
    SocketAddress address = *SocketAddress::parse("127.0.0.1", 0);
    const Fd listening(stream_socket(AF_INET));
    ASSERT_EQ(set_option(listening.get(), SocketOption::reuse_address, 1), 0);
    ASSERT_EQ(bind(listening.get(), address), 0);
    EXPECT_EQ(try_accept(listening.get()), -EINVAL);
    ASSERT_EQ(listen(listening.get(), 8), 0);
    ASSERT_EQ(local_address(listening.get(), address), 0);
    EXPECT_NE(address.port(), 0);
    EXPECT_EQ(try_accept(listening.get()), -EAGAIN);
    const Fd client(stream_socket(AF_INET));
    const int connecting = connect(client.get(), address);
    EXPECT_TRUE(connecting == 0 || connecting == -EINPROGRESS);
    pollfd ready = {listening.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
    const Fd server(try_accept(listening.get()));
    ASSERT_TRUE(server);
    SocketAddress peer;
    ASSERT_EQ(peer_address(client.get(), peer), 0);
    EXPECT_EQ(peer, address);

    std::array<std::byte, 16> buffer;
    EXPECT_EQ(try_receive(server.get(), buffer), -EAGAIN);
    EXPECT_EQ(try_send(client.get(), bytes("abc")), 3);
    std::string more = "de";
    const iovec parts[] = {{more.data(), 1}, {more.data() + 1, 1}};
    EXPECT_EQ(try_send(client.get(), parts, 2), 2);
    ready = {server.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
    EXPECT_EQ(try_receive(server.get(), buffer), 5);
    EXPECT_EQ(take_socket_error(client.get()), 0);
    EXPECT_EQ(shutdown(client.get(), Shutdown::write), 0);
    EXPECT_EQ(try_send(client.get(), bytes("x")), -EPIPE);  // and no SIGPIPE
    ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
    EXPECT_EQ(try_receive(server.get(), buffer), 0);
}

TEST(Socket, options_read_back) {
    const Fd fd(stream_socket(AF_INET6));
    for (const SocketOption option :
         {SocketOption::no_delay, SocketOption::reuse_address, SocketOption::reuse_port,
          SocketOption::ipv6_only, SocketOption::keep_alive}) {
        EXPECT_EQ(set_option(fd.get(), option, 1), 0);
        EXPECT_EQ(get_option(fd.get(), option), 1);
    }
    EXPECT_EQ(set_option(-1, SocketOption::no_delay, 1), -EBADF);
    EXPECT_EQ(get_option(-1, SocketOption::no_delay), -EBADF);
}

TEST(Socket, D2_errors_of_one_connection_are_told_from_those_of_the_listener) {
    for (const int error : {ECONNABORTED, EPROTO, EINTR, ENETDOWN, EHOSTUNREACH, EPERM})
        EXPECT_TRUE(is_transient_accept_error(error)) << error;
    for (const int error : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF, EINVAL, ENOTSOCK, EAGAIN})
        EXPECT_FALSE(is_transient_accept_error(error)) << error;
}

}  // namespace
}  // namespace asyncio::os
