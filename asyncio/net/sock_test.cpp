// SPDX-License-Identifier: MIT
//
// loop.sock_*: each behaviour of area SOCK.
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/sock.hpp>
#include <asyncio/os/pipe.hpp>

#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

std::pair<Fd, Fd> pair_of(int type) {
    int fds[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    return std::pair<Fd, Fd>(Fd(fds[0]), Fd(fds[1]));
}

TEST(Sock, SOCK_01_SOCK_02_receiving_tries_at_once_and_waits_otherwise) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        auto [one, two] = pair_of(SOCK_STREAM);
        raw_send(two, "at once");
        const std::string first = co_await loop.sock_recv(one.get(), 4);
        EXPECT_EQ(first, "at o");
        std::byte memory[100];
        const std::size_t count = co_await loop.sock_recv_into(one.get(), memory);
        EXPECT_EQ(count, 3u);
        Task<std::string> later = create_task(loop.sock_recv(one.get(), 100));
        co_await sleep(0s);
        EXPECT_FALSE(later.done());
        raw_send(two, "later");
        const std::string second = co_await later;
        EXPECT_EQ(second, "later");
        two.reset();
        const std::string end = co_await loop.sock_recv(one.get(), 100);
        EXPECT_EQ(end, "");
    });
}

TEST(Sock, SOCK_01_datagrams_with_their_sender) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Fd one(os::datagram_socket(AF_INET));
        const Fd two(os::datagram_socket(AF_INET));
        SocketAddress here = loopback(0);
        SocketAddress there = loopback(0);
        os::bind(one.get(), here);
        os::bind(two.get(), there);
        os::local_address(one.get(), here);
        os::local_address(two.get(), there);
        Task<std::pair<std::string, SocketAddress>> waiting =
            create_task(loop.sock_recvfrom(one.get(), 100));
        co_await sleep(0s);
        const std::size_t sent = co_await loop.sock_sendto(two.get(), "hello", here);
        EXPECT_EQ(sent, 5u);
        const auto& got = co_await waiting;
        EXPECT_EQ(got.first, "hello");
        EXPECT_EQ(got.second, there);
        std::byte memory[3];
        (void)co_await loop.sock_sendto(two.get(), "cut off", here);
        const auto into = co_await loop.sock_recvfrom_into(one.get(), memory, 2);
        EXPECT_EQ(into.first, 2u);
        EXPECT_EQ(into.second, there);
    });
}

TEST(Sock, SOCK_03_SOCK_10_sendall_sends_everything_beside_a_reader) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        auto [one, two] = pair_of(SOCK_STREAM);
        const std::string large(2 << 20, 'x');
        Task<void> sending = create_task(loop.sock_sendall(one.get(), large));
        Task<std::string> reading = create_task(loop.sock_recv(one.get(), 10));
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_FALSE(sending.done());
        std::size_t received = 0;
        while (received < large.size()) {
            const std::string piece = co_await loop.sock_recv(two.get(), 1 << 16);
            received += piece.size();
        }
        co_await sending;
        EXPECT_FALSE(reading.done());
        co_await loop.sock_sendall(two.get(), "back");
        const std::string back = co_await reading;
        EXPECT_EQ(back, "back");
    });
}

TEST(Sock, SOCK_04_after_a_cancel_the_same_operation_works_in_the_same_iteration) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        auto [one, two] = pair_of(SOCK_STREAM);
        for (int i = 0; i < 20; ++i) {
            Task<std::string> cancelled = create_task(loop.sock_recv(one.get(), 10));
            co_await sleep(0s);
            cancelled.cancel();
            const auto outcome = co_await as_outcome(std::move(cancelled));
            EXPECT_TRUE(outcome.cancelled());
            raw_send(two, "x");
            const std::string data = co_await loop.sock_recv(one.get(), 10);
            EXPECT_EQ(data, "x");
        }
    });
}

TEST(Sock, SOCK_05_SOCK_06_connect_by_name_path_and_failure) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RawListener listener;
        const Fd named(os::stream_socket(AF_INET));
        co_await loop.sock_connect(named.get(), "localhost", listener.address.port());
        EXPECT_TRUE(listener.accept());

        const std::string name =
            std::string(1, '\0') + "asyncio-sock-" + std::to_string(::getpid());
        const Fd unix_listener(os::stream_socket(AF_UNIX));
        os::bind(unix_listener.get(), SocketAddress::unix_path(name));
        os::listen(unix_listener.get(), 5);
        const Fd path(os::stream_socket(AF_UNIX));
        co_await loop.sock_connect(path.get(), name, 0);

        const Fd refused(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));  // a blocking one
        const auto outcome = co_await as_outcome(loop.sock_connect(refused.get(), loopback(1)));
        EXPECT_EQ(error_of(outcome), "std::system_error: connect 127.0.0.1:1: Connection refused");
        EXPECT_GE(::fcntl(refused.get(), F_GETFD), 0);
        EXPECT_FALSE(os::is_nonblocking(refused.get()));
        const auto family = co_await as_outcome(loop.sock_connect(refused.get(), "::1", 1));
        EXPECT_NE(error_of(family).find("no address of the socket's family"), std::string::npos);
    });
}

TEST(Sock, SOCK_07_accept_gives_a_non_blocking_socket_and_can_be_cancelled) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        RawListener listener;
        Task<std::pair<Fd, SocketAddress>> cancelled =
            create_task(loop.sock_accept(listener.fd.get()));
        co_await sleep(0s);
        cancelled.cancel();
        const auto outcome = co_await as_outcome(std::move(cancelled));
        EXPECT_TRUE(outcome.cancelled());
        Task<std::pair<Fd, SocketAddress>> accepting =
            create_task(loop.sock_accept(listener.fd.get()));
        co_await sleep(0s);
        const Fd client = raw_connect(listener.address.port());
        const auto& accepted = co_await accepting;
        EXPECT_TRUE(os::is_nonblocking(accepted.first.get()));
        SocketAddress name;
        os::local_address(client.get(), name);
        EXPECT_EQ(accepted.second, name);
        Task<std::pair<Fd, SocketAddress>> last = create_task(loop.sock_accept(listener.fd.get()));
        co_await sleep(0s);
        last.cancel();
        (void)co_await as_outcome(std::move(last));
        listener.fd.reset();
    });
}

TEST(Sock, SOCK_08_more_than_the_memory_is_refused) {
    testing::run([]() -> Coro<> {
        std::byte memory[4];
        const auto outcome =
            co_await as_outcome(get_running_loop().sock_recvfrom_into(0, memory, 5));
        EXPECT_EQ(error_of(outcome), "std::invalid_argument: nbytes is greater than the buffer");
    });
}

TEST(Sock, SOCK_09_in_debug_mode_a_blocking_socket_is_refused) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Fd blocking(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        loop.set_debug(true);
        const auto outcome = co_await as_outcome(loop.sock_recv(blocking.get(), 1));
        loop.set_debug(false);
        EXPECT_EQ(error_of(outcome), "std::invalid_argument: the socket must be non-blocking");
    });
}

TEST(Sock, TRN_25_a_transports_descriptor_is_nobody_elses) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        Peer peer;
        const int fd = peer.transport->fileno();
        EXPECT_THROW(loop.add_reader(fd, [] {}), std::logic_error);
        EXPECT_THROW(loop.add_writer(fd, [] {}), std::logic_error);
        EXPECT_FALSE(loop.remove_reader(fd));
        const auto outcome = co_await as_outcome(loop.sock_recv(fd, 1));
        EXPECT_EQ(error_of(outcome), "std::logic_error: File descriptor " + std::to_string(fd) +
                                         " is used by a transport");
        peer.writer.close();
        co_await peer.writer.wait_closed();
        const Fd other(os::stream_socket(AF_INET));
        const Fd next(::fcntl(other.get(), F_DUPFD_CLOEXEC, fd));
        EXPECT_EQ(next.get(), fd);
        loop.add_writer(next.get(), [] {});
        EXPECT_TRUE(loop.remove_writer(next.get()));
    });
}

TEST(Sock, descriptors_travel_over_unix_sockets) {
    testing::run([]() -> Coro<> {
        auto [one, two] = pair_of(SOCK_STREAM);
        auto [left, right] = pair_of(SOCK_STREAM);
        Task<ReceivedDescriptors> receiving = create_task(recv_fds(two.get(), 100, 4));
        co_await sleep(0s);
        std::vector<int> passed(1, left.get());
        const std::size_t sent = co_await send_fds(one.get(), "take this", passed);
        EXPECT_EQ(sent, 9u);
        const ReceivedDescriptors got = co_await std::move(receiving);
        EXPECT_EQ(got.data, "take this");
        EXPECT_EQ(got.fds.size(), 1u);
        EXPECT_FALSE(got.truncated);
        EXPECT_EQ(::fcntl(got.fds.at(0).get(), F_GETFD), FD_CLOEXEC);
        raw_send(right, "through it");
        left.reset();
        const std::string data = co_await get_running_loop().sock_recv(got.fds.at(0).get(), 100);
        EXPECT_EQ(data, "through it");
        one.reset();
        const ReceivedDescriptors end = co_await recv_fds(two.get(), 100, 4);
        EXPECT_EQ(end.data, "");
        EXPECT_TRUE(end.fds.empty());
    });
}

}  // namespace
}  // namespace asyncio
