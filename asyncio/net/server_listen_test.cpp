// SPDX-License-Identifier: MIT
//
// What servers listen on: hosts, sockets made elsewhere, ports in use, and descriptors that run
// out.
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/server.hpp>

#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

TEST(Server, SRV_15_several_hosts_and_duplicates) {
    testing::run([]() -> Coro<> {
        std::vector<std::string> hosts = {"127.0.0.1", "127.0.0.2", "127.0.0.1"};
        Server server = co_await start_server(echo, std::move(hosts), 0);
        EXPECT_EQ(server.sockets().size(), 2u);
        co_await end(server);
    });
}

TEST(Server, SRV_16_SRV_20_an_empty_host_is_all_interfaces_v4_and_v6_on_one_port) {
    testing::run([]() -> Coro<> {
        Server first = co_await start_server(echo, "127.0.0.1", 0);
        const std::uint16_t port = port_of(first);
        co_await end(first);
        Server server = co_await start_server(echo, "", port);
        std::set<std::string> names;
        for (const TransportSocket& socket : server.sockets())
            names.insert(socket.getsockname().to_string());
        EXPECT_TRUE(names.contains("0.0.0.0:" + std::to_string(port)));
        if (names.size() > 1) {
            EXPECT_TRUE(names.contains("[::]:" + std::to_string(port)));
        }
        const std::string answer = co_await ask(port, "x");
        EXPECT_EQ(answer, "x");
        co_await end(server);
    });
}

TEST(Server, SRV_17_host_and_sock_exclude_each_other) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        ServerOptions options;
        const auto neither = co_await as_outcome(start_server(echo, options));
        EXPECT_EQ(error_of(neither),
                  "std::invalid_argument: Neither host/port nor sock were specified");
        Fd datagram(os::datagram_socket(AF_INET));
        options.sock = datagram.get();
        const auto both = co_await as_outcome(start_server(echo, "127.0.0.1", 0, options));
        EXPECT_EQ(
            error_of(both),
            "std::invalid_argument: host/port and sock can not be specified at the same time");
        const auto wrong = co_await as_outcome(start_server(echo, options));
        EXPECT_EQ(error_of(wrong), "std::invalid_argument: A Stream Socket was expected");
        EXPECT_GE(::fcntl(datagram.get(), F_GETFD), 0);  // still ours
        datagram.reset();
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(Server, SRV_17_a_socket_made_elsewhere_is_taken_over_even_if_it_blocks) {
    testing::run([]() -> Coro<> {
        const int before = open_descriptors();
        const int sock = ::socket(AF_INET, SOCK_STREAM, 0);
        os::bind(sock, loopback(0));
        ServerOptions options;
        options.sock = sock;
        Server server = co_await start_server(echo, options);
        for (int i = 0; i < 3; ++i) {
            const std::string answer = co_await ask(port_of(server), "x");
            EXPECT_EQ(answer, "x");
        }
        co_await end(server);
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(Server, SRV_18_an_address_in_use_is_named_and_nothing_leaks) {
    testing::run([]() -> Coro<> {
        const RawListener taken;
        const int before = open_descriptors();
        std::vector<std::string> hosts = {"127.0.0.2", "127.0.0.1"};
        const std::uint16_t port = taken.address.port();
        const auto outcome = co_await as_outcome(start_server(echo, std::move(hosts), port));
        EXPECT_EQ(error_of(outcome), "std::system_error: bind on address " +
                                         taken.address.to_string() + ": Address already in use");
        EXPECT_EQ(open_descriptors(), before);
    });
}

TEST(Server, SRV_19_an_address_that_is_not_there_is_skipped_if_another_works) {
    testing::run([]() -> Coro<> {
        std::vector<std::string> hosts = {"192.0.2.1", "127.0.0.1"};
        Server server = co_await start_server(echo, std::move(hosts), 0);
        EXPECT_EQ(server.sockets().size(), 1u);
        co_await end(server);
        const auto none = co_await as_outcome(start_server(echo, "192.0.2.1", 0));
        EXPECT_FALSE(none);
    });
}

TEST(Server, SRV_22_more_connections_than_the_backlog_of_one_event) {
    testing::run([]() -> Coro<> {
        int calls = 0;
        const testing::ErrorLog resets(get_running_loop());
        auto handler = [&](StreamReader& reader, StreamWriter&) -> Coro<> {
            ++calls;
            (void)co_await reader.read();
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        std::vector<Fd> clients;
        for (int i = 0; i < 90; ++i) clients.push_back(raw_connect(port_of(server)));
        for (int i = 0; i < 90; i += 3)
            reset(clients[static_cast<std::size_t>(i)]);  // before accept
        auto all = [&] { return calls >= 60; };
        const bool there = co_await until(all);
        EXPECT_TRUE(there);
        clients.clear();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Server, SRV_24_keep_alive_is_set_on_the_listener_and_inherited) {
    testing::run([]() -> Coro<> {
        for (const bool on : {false, true}) {
            int option = -1;
            auto handler = [&](StreamReader&, StreamWriter& writer) {
                option = os::get_option(writer.transport()->fileno(), os::SocketOption::keep_alive);
            };
            ServerOptions options;
            options.keep_alive = on;
            Server server = co_await start_server(handler, "127.0.0.1", 0, options);
            const TransportSocket listener = server.sockets().at(0);
            EXPECT_EQ(listener.getsockopt(os::SocketOption::keep_alive), on ? 1 : 0);
            auto streams = co_await open_connection("127.0.0.1", port_of(server));
            (void)co_await streams.first.read();
            EXPECT_EQ(option, on ? 1 : 0);
            streams.second.close();
            co_await end(server);
        }
    });
}

TEST(Server, reuse_port_lets_two_servers_share_one) {
    testing::run([]() -> Coro<> {
        ServerOptions options;
        options.reuse_port = true;
        Server one = co_await start_server(echo, "127.0.0.1", 0, options);
        Server two = co_await start_server(echo, "127.0.0.1", port_of(one), options);
        EXPECT_EQ(port_of(one), port_of(two));
        co_await end(one);
        co_await end(two);
    });
}

// --- descriptors run out -----------------------------------------------------------------------

/// In a child process: 0 if the client that found no descriptor is served when another goes.
int child_accepts_again() {
    bool served = false;
    const rlimit limit = {64, 64};
    ::setrlimit(RLIMIT_NOFILE, &limit);
    testing::run([&]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        Fd first = raw_connect(port_of(server));
        co_await sleep(10ms);
        Fd second = raw_connect(port_of(server));
        Fd third = raw_connect(port_of(server));  // finds no descriptor again
        std::vector<Fd> hoard;
        for (int fd = ::open("/dev/null", O_RDONLY); fd >= 0; fd = ::open("/dev/null", O_RDONLY))
            hoard.emplace_back(fd);
        while (errors.reports().empty()) co_await sleep(1ms);
        const TimePoint paused = get_running_loop().time();
        first.reset();
        hoard.emplace_back(::open("/dev/null", O_RDONLY));  // only the server's end makes room
        (void)::send(second.get(), "x", 1, MSG_NOSIGNAL);
        char answer = 0;
        while (::recv(second.get(), &answer, 1, MSG_DONTWAIT) != 1) co_await sleep(1ms);
        co_await sleep(10ms);
        served = answer == 'x' && get_running_loop().time() - paused < 500ms;
        served = served && errors.reports().size() == 1;  // one a second, whoever comes and goes
        second.reset();
        third.reset();
        hoard.clear();
        server.close();
        co_await server.wait_closed();
    });
    return served ? 0 : 1;
}

/// In a child process: 0 if all went well, else the line that did not.
int child_without_descriptors() {
    int failed_line = 0;
    const auto check = [&](bool condition, int line) {
        if (!condition && failed_line == 0) failed_line = line % 250 + 1;
    };
    const rlimit limit = {64, 64};
    ::setrlimit(RLIMIT_NOFILE, &limit);  // before the server: io_uring looks when accepting begins
    testing::run([&]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        int calls = 0;
        auto handler = [&](StreamReader& reader, StreamWriter&) -> Coro<> {
            ++calls;
            (void)co_await reader.read();
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        co_await sleep(10ms);
        Fd client = raw_connect(port_of(server));
        std::vector<Fd> hoard;
        for (int fd = ::open("/dev/null", O_RDONLY); fd >= 0; fd = ::open("/dev/null", O_RDONLY))
            hoard.emplace_back(fd);
        co_await sleep(500ms);
        check(errors.reports().size() == 1, __LINE__);
        check(calls == 0, __LINE__);
        co_await sleep(1s);
        check(errors.reports().size() == 2, __LINE__);  // tried again once, and no more
        co_await sleep(3s);
        check(errors.reports().size() == 5, __LINE__);
        check(errors.reports()[0].message == "socket.accept() out of system resource", __LINE__);
        hoard.clear();
        co_await sleep(1s);
        check(calls == 1, __LINE__);
        check(errors.reports().size() == 5, __LINE__);
        client.reset();
        server.close();
        co_await server.wait_closed();
    });
    return failed_line;
}

int exit_status_of(int (*body)()) {
    const pid_t child = ::fork();
    if (child == 0) {
        int result = 255;
        try {
            result = body();
        } catch (...) {
        }
        ::_exit(result);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(Server, SRV_23_out_of_descriptors_is_reported_pauses_and_recovers) {
    EXPECT_EQ(exit_status_of(&child_without_descriptors), 0)
        << "failed at line x with x % 250 + 1 of that";
}

TEST(Server, SRV_23_the_pause_ends_when_a_connection_ends) {
    EXPECT_EQ(exit_status_of(&child_accepts_again), 0);
}

TEST(Server, one_that_closes_keeps_no_connection_from_others_at_the_same_socket) {
    testing::run([]() -> Coro<> {
        RawListener place;
        int served = 0;
        auto handler = [&served](StreamReader&, StreamWriter& writer) {
            ++served;
            writer.abort();
        };
        const int shared = ::dup(place.fd.get());
        Server old = co_await start_server(handler, {.sock = place.fd.release()});
        co_await sleep(1ms);  // it waits first, and is the one the system wakes
        Server successor = co_await start_server(handler, {.sock = shared});
        co_await sleep(1ms);
        Fd client = raw_connect(place.address.port());
        old.close();
        for (int i = 0; i < 1'000 && served == 0; ++i) co_await sleep(1ms);
        EXPECT_EQ(served, 1);
        successor.close();
        co_await old.wait_closed();
        co_await successor.wait_closed();
    });
}

TEST(Server, one_that_never_served_takes_no_connection_when_it_is_closed) {
    testing::run([]() -> Coro<> {
        RawListener place;
        const Fd others(::dup(place.fd.get()));
        int served = 0;
        auto handler = [&served](StreamReader&, StreamWriter& writer) {
            ++served;
            writer.abort();
        };
        ServerOptions options;
        options.sock = place.fd.release();
        options.start_serving = false;
        Server server = co_await start_server(handler, options);
        const Fd client = raw_connect(place.address.port());
        wait_until_arrived(client);
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(served, 0);
        EXPECT_TRUE(Fd(os::try_accept(others.get())));
    });
}

TEST(Server, a_cancelled_start_server_listens_no_more) {
    testing::run([]() -> Coro<> {
        const RawListener place;  // to find a free port
        const std::uint16_t port = place.address.port();
        Fd(std::move(const_cast<RawListener&>(place).fd)).reset();
        Task<Server> starting = create_task(start_server(echo, "127.0.0.1", port));
        co_await sleep(0s);  // it listens now, and gives the loop one turn
        starting.cancel();
        const Outcome<Server> outcome = co_await as_outcome(starting);
        EXPECT_TRUE(outcome.cancelled());
        Fd probe(os::stream_socket(AF_INET));
        EXPECT_EQ(os::bind(probe.get(), loopback(port)), 0);  // nobody has it
    });
}

}  // namespace
}  // namespace asyncio
