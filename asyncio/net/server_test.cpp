// SPDX-License-Identifier: MIT
//
// Servers: each behaviour of area SRV, handlers of every shape, and what happens to handles,
// records and descriptors when things end in an unusual order.
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

Coro<> idle_handler(StreamReader& reader, StreamWriter&) { (void)co_await reader.read(); }

/// Ask an echo server, and close.
Coro<std::string> ask(std::uint16_t port, std::string question) {
    auto streams = co_await open_connection("127.0.0.1", port);
    streams.second.write(question);
    const std::string answer = co_await streams.first.readexactly(question.size());
    streams.second.close();
    co_await streams.second.wait_closed();
    co_return answer;
}

Coro<> end(const Server& server) {
    server.close();
    server.abort_clients();
    co_await server.wait_closed();
}

TEST(Server, SRV_01_the_handler_is_called_once_per_connection_as_a_task) {
    testing::run([]() -> Coro<> {
        std::set<std::string> tasks;
        int calls = 0;
        auto handler = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            ++calls;
            tasks.insert(current_task().get_name());
            co_await echo(reader, writer);
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        std::vector<Coro<std::string>> clients;
        for (int i = 0; i < 10; ++i) clients.push_back(ask(port_of(server), std::to_string(i)));
        const std::vector<std::string> answers = co_await gather(std::move(clients));
        for (std::size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(answers[i], std::to_string(i));
        EXPECT_EQ(calls, 10);
        EXPECT_EQ(tasks.size(), 10u);
        co_await end(server);
    });
}

TEST(Server, SRV_01_a_handler_may_be_a_plain_function) {
    testing::run([]() -> Coro<> {
        auto handler = [](StreamReader&, StreamWriter& writer) { writer.write("bye"); };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        auto streams = co_await open_connection("127.0.0.1", port_of(server));
        const std::string all = co_await streams.first.read();
        EXPECT_EQ(all, "bye");
        streams.second.close();
        co_await end(server);
    });
}

TEST(Server, SRV_01_a_handler_may_own_what_cannot_be_copied) {
    testing::run([]() -> Coro<> {
        auto greeting = std::make_unique<std::string>("hello");
        auto handler = [greeting = std::move(greeting)](StreamReader&, StreamWriter& w) -> Coro<> {
            w.write(*greeting);
            co_await w.drain();
        };
        Server server = co_await start_server(std::move(handler), "127.0.0.1", 0);
        auto streams = co_await open_connection("127.0.0.1", port_of(server));
        const std::string all = co_await streams.first.read();
        EXPECT_EQ(all, "hello");
        streams.second.close();
        co_await end(server);
    });
}

TEST(Server, SRV_01_a_handler_may_return_any_awaitable) {
    testing::run([]() -> Coro<> {
        auto value = [](StreamReader&, StreamWriter& writer) -> Coro<int> {
            writer.write("value");
            co_return 5;
        };
        auto spawns = [](StreamReader, StreamWriter writer) {
            return create_task(
                [](StreamWriter w) -> Coro<> {
                    w.write("task");
                    co_await w.drain();
                    w.close();
                },
                std::move(writer));
        };
        std::vector<Server> servers;
        servers.push_back(co_await start_server(value, "127.0.0.1", 0));
        servers.push_back(co_await start_server(spawns, "127.0.0.1", 0));
        for (const Server& server : servers) {
            auto streams = co_await open_connection("127.0.0.1", port_of(server));
            const std::string all = co_await streams.first.read();
            EXPECT_EQ(all, &server == &servers.front() ? "value" : "task");
            streams.second.close();
            co_await end(server);
        }
    });
}

TEST(Server, SRV_01_a_handler_may_take_its_streams_by_value) {
    testing::run([]() -> Coro<> {
        auto handler = [](StreamReader reader, StreamWriter writer) -> Coro<> {
            const std::string line = co_await reader.readline();
            writer.write(line);
            writer.close();
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        const std::string answer = co_await ask(port_of(server), "line\n");
        EXPECT_EQ(answer, "line\n");
        co_await end(server);
    });
}

TEST(Server, SRV_01_a_handler_may_keep_its_streams) {
    testing::run([]() -> Coro<> {
        std::optional<StreamWriter> kept;
        auto handler = [&](StreamReader&, StreamWriter& writer) -> Coro<> {
            kept.emplace(std::move(writer));
            co_return;
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        auto streams = co_await open_connection("127.0.0.1", port_of(server));
        auto arrived = [&] { return kept.has_value(); };
        EXPECT_TRUE(co_await until(arrived));
        for (int i = 0; i < 5; ++i) co_await sleep(0s);
        EXPECT_FALSE(kept->is_closing());
        kept->write("later\n");
        const std::string line = co_await streams.first.readline();
        EXPECT_EQ(line, "later\n");
        kept->close();
        streams.second.close();
        co_await end(server);
    });
}

TEST(Server, SRV_02_a_failing_handler_is_reported_and_closed) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        auto by_reference = [](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            (void)co_await reader.read(1);
            writer.write("before");
            throw std::runtime_error("handler");
        };
        auto by_value = [](StreamReader reader, StreamWriter writer) -> Coro<> {
            (void)co_await reader.read(1);
            writer.write("before");
            throw std::runtime_error("handler");
        };
        auto plain = [](StreamReader&, StreamWriter& writer) {
            writer.write("before");
            throw std::runtime_error("handler");
        };
        testing::LogLines lines;
        std::vector<Server> servers;
        servers.push_back(co_await start_server(by_reference, "127.0.0.1", 0));
        servers.push_back(co_await start_server(by_value, "127.0.0.1", 0));
        servers.push_back(co_await start_server(plain, "127.0.0.1", 0));
        for (const Server& server : servers) {
            auto streams = co_await open_connection("127.0.0.1", port_of(server));
            // Closing with unread input would send a reset, which overtakes what was written.
            if (&server != &servers.back()) streams.second.write("x");
            const std::string all = co_await streams.first.read();
            EXPECT_EQ(all, "before");
            EXPECT_EQ(errors.messages(),
                      (std::vector<std::string>{"Unhandled exception in client_connected_cb"}));
            if (errors.reports().size() == 1) {
                EXPECT_EQ(describe(errors.reports()[0].exception), "std::runtime_error: handler");
                EXPECT_EQ(errors.reports()[0].transport, streams.second.sockname().to_string());
            }
            errors.clear();
            streams.second.close();
            co_await end(server);
        }
        EXPECT_EQ(lines.size(), 0u);
    });
}

TEST(Server, SRV_03_a_cancelled_handler_closes_silently) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        std::optional<AnyTask> task;
        auto handler = [&](StreamReader& reader, StreamWriter&) -> Coro<> {
            task.emplace(current_task());
            (void)co_await reader.read();
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        auto streams = co_await open_connection("127.0.0.1", port_of(server));
        auto arrived = [&] { return task.has_value(); };
        EXPECT_TRUE(co_await until(arrived));
        task->cancel();
        const std::string all = co_await streams.first.read();
        EXPECT_EQ(all, "");
        EXPECT_TRUE(task->cancelled());
        EXPECT_TRUE(errors.reports().empty());
        streams.second.close();
        co_await end(server);
    });
}

TEST(Server, SRV_04_start_serving_false) {
    testing::run([]() -> Coro<> {
        ServerOptions options;
        options.start_serving = false;
        Server server = co_await start_server(echo, "127.0.0.1", 0, options);
        EXPECT_FALSE(server.is_serving());
        EXPECT_EQ(server.sockets().size(), 1u);
        const auto refused = co_await as_outcome(open_connection("127.0.0.1", port_of(server)));
        EXPECT_FALSE(refused);
        server.start_serving();
        server.start_serving();
        EXPECT_TRUE(server.is_serving());
        const std::string answer = co_await ask(port_of(server), "x");
        EXPECT_EQ(answer, "x");
        co_await end(server);
        EXPECT_THROW(server.start_serving(), std::logic_error);
    });
}

TEST(Server, SRV_05_SRV_14_sockets_and_is_serving_reflect_the_state) {
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        EXPECT_TRUE(server.is_serving());
        EXPECT_EQ(&server.get_loop(), &get_running_loop());
        EXPECT_EQ(server.sockets().size(), 1u);
        EXPECT_NE(port_of(server), 0);
        EXPECT_GE(server.sockets()[0].fileno(), 0);
        EXPECT_EQ(server.sockets()[0].getsockname().host(), "127.0.0.1");
        server.close();
        EXPECT_FALSE(server.is_serving());
        EXPECT_TRUE(server.sockets().empty());
        co_await server.wait_closed();
    });
}

TEST(Server, SRV_06_serve_forever_until_cancelled) {
    testing::run([]() -> Coro<> {
        ServerOptions options;
        options.start_serving = false;
        Server server = co_await start_server(echo, "127.0.0.1", 0, options);
        Task<> serving = create_task(server.serve_forever());
        co_await sleep(0s);
        EXPECT_TRUE(server.is_serving());
        auto streams = co_await open_connection("127.0.0.1", port_of(server));
        streams.second.write("x");
        (void)co_await streams.first.read(1);
        serving.cancel();
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_FALSE(server.is_serving());
        EXPECT_FALSE(serving.done());  // one connection is left
        streams.second.close();
        const auto outcome = co_await as_outcome(serving);
        EXPECT_TRUE(outcome.cancelled());
    });
}

TEST(Server, SRV_06_close_ends_serve_forever_normally) {
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        Task<> serving = create_task(server.serve_forever());
        co_await sleep(0s);
        server.close();
        co_await serving;
    });
}

TEST(Server, SRV_07_serve_forever_twice_or_when_closed_is_an_error) {
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        Task<> serving = create_task(server.serve_forever());
        co_await sleep(0s);
        const auto twice = co_await as_outcome(server.serve_forever());
        EXPECT_EQ(error_of(twice),
                  "std::logic_error: server is already being awaited on serve_forever()");
        EXPECT_TRUE(server.is_serving());
        server.close();
        co_await serving;
        const auto closed = co_await as_outcome(server.serve_forever());
        EXPECT_EQ(error_of(closed), "std::logic_error: the server is closed");
    });
}

TEST(Server, SRV_08_close_leaves_connections_alone) {
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        const std::uint16_t port = port_of(server);
        auto streams = co_await open_connection("127.0.0.1", port);
        streams.second.write("a");
        (void)co_await streams.first.read(1);
        server.close();
        server.close();
        const auto refused = co_await as_outcome(open_connection("127.0.0.1", port));
        EXPECT_FALSE(refused);
        streams.second.write("b");
        const std::string answer = co_await streams.first.read(1);
        EXPECT_EQ(answer, "b");
        streams.second.close();
        co_await server.wait_closed();
    });
}

TEST(Server, SRV_09_SRV_10_wait_closed_waits_for_both_in_either_order) {
    testing::run([]() -> Coro<> {
        for (const bool close_first : {true, false}) {
            Server server = co_await start_server(echo, "127.0.0.1", 0);
            std::vector<Task<>> waiters;
            for (int i = 0; i < 3; ++i) waiters.push_back(create_task(server.wait_closed()));
            auto streams = co_await open_connection("127.0.0.1", port_of(server));
            streams.second.write("a");
            (void)co_await streams.first.read(1);
            if (close_first)
                server.close();
            else
                streams.second.close();
            for (int i = 0; i < 20; ++i) co_await sleep(1ms);
            EXPECT_FALSE(waiters[0].done()) << close_first;
            if (close_first)
                streams.second.close();
            else
                server.close();
            for (Task<>& waiter : waiters) co_await waiter;
            co_await server.wait_closed();
        }
    });
}

TEST(Server, wait_closed_waits_for_the_handlers_too) {
    testing::run([]() -> Coro<> {
        std::string seen;  // the handler refers to it, and it ends with this frame
        auto handler = [&seen](StreamReader& reader, StreamWriter&) -> Coro<> {
            seen = co_await reader.read();
            co_await sleep(10s);  // the connection is long gone
            seen += " and done";
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        auto streams = co_await open_connection("127.0.0.1", port_of(server));
        streams.second.write("said");
        streams.second.close();
        co_await streams.second.wait_closed();
        while (seen.empty()) co_await sleep(1ms);
        server.close();
        server.abort_clients();
        co_await server.wait_closed();
        EXPECT_EQ(seen, "said and done");
    });
}

TEST(Server, SRV_10_wait_closed_before_close_does_not_return) {
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        Task<> waiter = create_task(server.wait_closed());
        for (int i = 0; i < 5; ++i) co_await sleep(0s);
        EXPECT_FALSE(waiter.done());
        server.close();
        co_await waiter;
    });
}

TEST(Server, SRV_11_a_connection_that_closes_in_the_same_iteration) {
    testing::run([]() -> Coro<> {
        std::optional<StreamWriter> kept;
        auto handler = [&](StreamReader&, StreamWriter& writer) {
            kept.emplace(std::move(writer));
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        auto streams = co_await open_connection("127.0.0.1", port_of(server));
        auto arrived = [&] { return kept.has_value(); };
        EXPECT_TRUE(co_await until(arrived));
        kept->close();
        server.close();
        co_await server.wait_closed();
        EXPECT_EQ(co_await streams.first.read(), "");
        streams.second.close();
    });
}

TEST(Server, SRV_12_close_clients_is_graceful_and_abort_clients_is_not) {
    testing::run([]() -> Coro<> {
        for (const bool graceful : {true, false}) {
            const std::size_t size = 4u << 20;
            bool written = false;
            auto handler = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
                writer.write(std::string(size, 'x'));
                written = true;
                (void)co_await reader.read();
            };
            Server server = co_await start_server(handler, "127.0.0.1", 0);
            Fd raw = raw_connect(port_of(server));
            auto ready = [&] { return written; };
            EXPECT_TRUE(co_await until(ready));
            if (graceful)
                server.close_clients();
            else
                server.abort_clients();
            server.close();
            Task<> waiter = create_task(server.wait_closed());
            std::size_t received = 0;
            auto ended = [&] {
                const std::size_t count = raw_receive(raw).size();
                received += count;
                return count == 0 && raw_ended(raw);
            };
            EXPECT_TRUE(co_await until(ended));
            if (graceful)
                EXPECT_EQ(received, size);
            else
                EXPECT_LT(received, size);
            co_await waiter;
        }
    });
}

TEST(Server, SRV_13_leaving_the_scope_closes_and_waits) {
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        co_await server.aenter();
        const std::string answer = co_await ask(port_of(server), "x");
        EXPECT_EQ(answer, "x");
        const bool swallowed = co_await server.aexit(nullptr);
        EXPECT_FALSE(swallowed);
        EXPECT_FALSE(server.is_serving());
    });
}

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
        EXPECT_TRUE(co_await until(all));
        const std::string more = "x";
        clients.clear();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Server, SRV_24_keep_alive) {
    testing::run([]() -> Coro<> {
        for (const bool on : {false, true}) {
            int option = -1;
            auto handler = [&](StreamReader&, StreamWriter& writer) {
                option = os::get_option(writer.transport()->fileno(), os::SocketOption::keep_alive);
            };
            ServerOptions options;
            options.keep_alive = on;
            Server server = co_await start_server(handler, "127.0.0.1", 0, options);
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

TEST(Server, SRV_23_out_of_descriptors_is_reported_pauses_and_recovers) {
    const pid_t child = ::fork();
    if (child == 0) {
        int result = 255;
        try {
            result = child_without_descriptors();
        } catch (...) {
        }
        ::_exit(result);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "failed at line x with x % 250 + 1 of that";
}

// --- lifetimes ---------------------------------------------------------------------------------

TEST(Server, the_handle_may_be_dropped_while_serving) {
    testing::run([]() -> Coro<> {
        testing::LogLines lines;
        std::uint16_t port = 0;
        {
            Server server = co_await start_server(echo, "127.0.0.1", 0);
            port = port_of(server);
        }
        const std::string answer = co_await ask(port, "still there");
        EXPECT_EQ(answer, "still there");
        EXPECT_EQ(lines.size(), 0u);
    });
}

TEST(Server, handles_may_outlive_the_loop) {
    std::optional<Server> serving;
    std::optional<Server> never_started;
    std::optional<StreamWriter> kept;
    std::optional<StreamReader> kept_reader;
    const int before = open_descriptors();
    testing::LogLines lines;
    {
        auto loop = testing::make_virtual_loop();
        loop->run_until_complete([&]() -> Coro<> {
            auto handler = [&](StreamReader reader, StreamWriter writer) {
                kept_reader.emplace(std::move(reader));
                kept.emplace(std::move(writer));
            };
            serving.emplace(co_await start_server(handler, "127.0.0.1", 0));
            ServerOptions options;
            options.start_serving = false;
            never_started.emplace(co_await start_server(echo, "127.0.0.1", 0, options));
            Fd raw = raw_connect(port_of(*serving));
            auto arrived = [&] { return kept.has_value(); };
            EXPECT_TRUE(co_await until(arrived));
        });
        loop->close();
    }
    EXPECT_TRUE(lines.contains("unclosed server"));
    EXPECT_TRUE(lines.contains("unclosed connection"));
    EXPECT_EQ(lines.size(), 2u);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_FALSE(serving->is_serving());
    serving->close();
    serving->abort_clients();
    never_started->close();
    EXPECT_TRUE(kept->is_closing());
    kept->write("gone");
    kept->close();
    kept->abort();
}

TEST(Server, the_loop_may_close_with_everything_open) {
    const int before = open_descriptors();
    {
        testing::LogLines lines;
        auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        loop->run_until_complete([&]() -> Coro<> {
            Server server = co_await start_server(idle_handler, "127.0.0.1", 0);
            for (int i = 0; i < 20; ++i)
                (void)create_task([port = port_of(server)]() -> Coro<> {
                    auto streams = co_await open_connection("127.0.0.1", port);
                    streams.second.write(std::string(1 << 20, 'x'));
                    (void)co_await streams.first.read();
                });
            for (int i = 0; i < 7; ++i) co_await sleep(0s);
        });
        loop->close();
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Server, run_ends_clean_with_a_server_in_the_air) {
    const int before = open_descriptors();
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        (void)create_task(server.serve_forever());
        const std::string answer = co_await ask(port_of(server), "x");
        EXPECT_EQ(answer, "x");
    });
    EXPECT_EQ(open_descriptors(), before);
}

TEST(Server, a_handler_may_close_the_server_and_all_its_connections) {
    testing::run([]() -> Coro<> {
        std::optional<Server> server;
        auto handler = [&](StreamReader& reader, StreamWriter&) -> Coro<> {
            (void)co_await reader.read(1);
            server->close();
            server->abort_clients();
        };
        server.emplace(co_await start_server(handler, "127.0.0.1", 0));
        auto one = co_await open_connection("127.0.0.1", port_of(*server));
        auto two = co_await open_connection("127.0.0.1", port_of(*server));
        one.second.write("x");
        co_await server->wait_closed();
        (void)co_await as_outcome(one.first.read());
        one.second.close();
        two.second.close();
    });
}

}  // namespace
}  // namespace asyncio
