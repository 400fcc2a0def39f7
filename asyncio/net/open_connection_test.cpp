// SPDX-License-Identifier: MIT
//
// open_connection: each behaviour of area CONN that the stream API can show.
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/open_connection.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>

namespace asyncio {
namespace {

using namespace net_tests;

TEST(OpenConnection, CONN_01_connects_and_gives_streams) {
    testing::run([]() -> Coro<> {
        const RawListener listener;
        auto streams = co_await open_connection("127.0.0.1", listener.address.port());
        Fd peer = listener.accept();
        EXPECT_TRUE(peer);
        streams.second.write("hello");
        std::string received;
        auto there = [&] { return (received += raw_receive(peer)).size() == 5; };
        EXPECT_TRUE(co_await until(there));
        EXPECT_EQ(received, "hello");
        EXPECT_EQ(streams.second.peername().to_string(), listener.address.to_string());
        EXPECT_EQ(os::get_option(streams.second.transport()->fileno(), os::SocketOption::no_delay),
                  1);
        streams.second.close();
        co_await streams.second.wait_closed();
    });
}

TEST(OpenConnection, WR_18_a_closed_port_is_refused_and_named) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        const auto outcome = co_await as_outcome(open_connection("127.0.0.1", 1));
        EXPECT_EQ(error_of(outcome), "std::system_error: connect 127.0.0.1:1: Connection refused");
        EXPECT_EQ(error_in(outcome, std::system_error(0, std::generic_category())).code(),
                  std::errc::connection_refused);
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(OpenConnection, CONN_02_host_and_sock_exclude_each_other) {
    testing::run([]() -> Coro<> {
        Fd datagram(os::datagram_socket(AF_INET));
        ConnectOptions options;
        EXPECT_THROW((void)open_connection(options), std::invalid_argument);
        options.sock = datagram.get();
        EXPECT_THROW((void)open_connection("127.0.0.1", 1, options), std::invalid_argument);
        const auto outcome = co_await as_outcome(open_connection(options));
        EXPECT_EQ(error_of(outcome), "std::invalid_argument: A Stream Socket was expected");
        EXPECT_GE(::fcntl(datagram.get(), F_GETFD), 0);  // still ours
    });
}

TEST(OpenConnection, CONN_02_a_connected_socket_is_taken_over_even_if_it_blocks) {
    testing::run([]() -> Coro<> {
        const RawListener listener;
        const int sock = ::socket(AF_INET, SOCK_STREAM, 0);
        os::connect(sock, listener.address);
        ConnectOptions options;
        options.sock = sock;
        auto streams = co_await open_connection(options);
        Fd peer = listener.accept();
        raw_send(peer, "hi");
        const std::string data = co_await streams.first.readexactly(2);
        EXPECT_EQ(data, "hi");
        streams.second.close();
        co_await streams.second.wait_closed();
    });
}

TEST(OpenConnection, CONN_03_addresses_are_tried_until_one_succeeds) {
    testing::run([]() -> Coro<> {
        // "localhost" has ::1 first, mostly; nobody listens there.
        const RawListener listener;
        const int before = open_descriptors();
        auto streams = co_await open_connection("localhost", listener.address.port());
        EXPECT_EQ(streams.second.peername().to_string(), listener.address.to_string());
        EXPECT_EQ(open_descriptors(), before + 1);
        streams.second.close();
        co_await streams.second.wait_closed();
    });
}

TEST(OpenConnection, CONN_04_one_error_for_all_that_failed) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        const auto outcome = co_await as_outcome(open_connection("localhost", 1));
        const std::string text = error_of(outcome);
        EXPECT_NE(text.find("127.0.0.1:1: Connection refused"), std::string::npos) << text;
        if (text.find("[::1]") != std::string::npos) {
            EXPECT_NE(text.find("Multiple exceptions: connect "), std::string::npos) << text;
        }
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(OpenConnection, CONN_07_local_addr) {
    testing::run([]() -> Coro<> {
        const RawListener listener;
        const std::uint16_t port = listener.address.port();
        ConnectOptions options;
        options.local_addr.host = "127.0.0.9";
        auto streams = co_await open_connection("127.0.0.1", port, options);
        EXPECT_EQ(streams.second.sockname().host(), "127.0.0.9");
        streams.second.close();
        co_await streams.second.wait_closed();

        const int before = open_descriptors();
        options.local_addr.host = "::1";
        const auto family = co_await as_outcome(open_connection("127.0.0.1", port, options));
        EXPECT_NE(error_of(family).find("no matching local address with the family of 127.0.0.1"),
                  std::string::npos)
            << error_of(family);
        options.local_addr.host = "127.0.0.1";
        options.local_addr.port = port;
        const auto in_use = co_await as_outcome(open_connection("127.0.0.1", port, options));
        EXPECT_EQ(error_of(in_use), "std::system_error: bind on local address 127.0.0.1:" +
                                        std::to_string(port) + ": Address already in use");
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(OpenConnection, CONN_08_numbers_need_no_resolver) {
    testing::run([]() -> Coro<> {
        const RawListener listener;
        auto task = create_task(open_connection("127.0.0.1", listener.address.port()));
        int needed = 0;
        for (; !task.done() && needed < 1000; ++needed) co_await sleep(0s);
        EXPECT_LT(needed, 1000);
        auto streams = co_await std::move(task);
        streams.second.close();
        co_await streams.second.wait_closed();
    });
}

/// A listener whose queue is full: a connect to it stays in the air.
struct FullListener {
    FullListener() : listener(0) {
        for (int i = 0; i < 3; ++i) others.push_back(raw_connect(listener.address.port()));
    }
    RawListener listener;
    std::vector<Fd> others;
};

TEST(OpenConnection, CONN_11_cancelling_closes_the_socket) {
    testing::run([]() -> Coro<> {
        const FullListener full;
        const int before = open_descriptors();
        auto task = create_task(open_connection("127.0.0.1", full.listener.address.port()));
        for (int i = 0; i < 10; ++i) co_await sleep(0s);
        EXPECT_FALSE(task.done());
        EXPECT_EQ(open_descriptors(), before + 1);
        task.cancel();
        const auto outcome = co_await as_outcome(std::move(task));
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(OpenConnection, the_number_of_a_cancelled_connects_socket_works_again) {
    // The epoll kernel believed it still watched that number, and the next connection never heard.
    testing::run([]() -> Coro<> {
        const FullListener full;
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        for (int i = 0; i < 3; ++i) {
            auto task = create_task(open_connection("127.0.0.1", full.listener.address.port()));
            for (int n = 0; n < 5; ++n) co_await sleep(0s);
            EXPECT_FALSE(task.done());
            task.cancel();
            (void)co_await as_outcome(std::move(task));
            auto streams = co_await open_connection("127.0.0.1", port_of(server));
            streams.second.write("x");
            const std::string answer = co_await streams.first.read(1);
            EXPECT_EQ(answer, "x");
            streams.second.close();
            co_await streams.second.wait_closed();
        }
        server.close();
        co_await server.wait_closed();
    });
}

TEST(OpenConnection, the_loop_may_close_under_a_connect) {
    const int before = open_descriptors();
    {
        const FullListener full;
        auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        loop->run_until_complete([&]() -> Coro<> {
            (void)create_task(open_connection("127.0.0.1", full.listener.address.port()));
            for (int i = 0; i < 5; ++i) co_await sleep(0s);
        });
        loop->close();
        EXPECT_EQ(errors.messages(),
                  (std::vector<std::string>{"Task was destroyed but it is pending!"}));
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(OpenConnection, the_limit_is_the_readers) {
    testing::run([]() -> Coro<> {
        const RawListener listener;
        ConnectOptions options;
        options.limit = 3;
        auto streams = co_await open_connection("127.0.0.1", listener.address.port(), options);
        Fd peer = listener.accept();
        raw_send(peer, "toolong\n");
        const auto outcome = co_await as_outcome(streams.first.readline());
        EXPECT_FALSE(outcome);
        streams.second.close();
        co_await streams.second.wait_closed();
    });
}

}  // namespace
}  // namespace asyncio
