// SPDX-License-Identifier: MIT
//
// Servers: handlers of every shape, and each behaviour of area SRV from starting to closing.
#include <asyncio/base/context_var.hpp>
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

TEST(Server, SRV_01_handlers_run_in_copies_of_the_context_that_started_the_server) {
    testing::run([]() -> Coro<> {
        ContextVar<int> number(0);
        std::vector<int> seen;
        auto handler = [&](StreamReader&, StreamWriter&) -> Coro<> {
            seen.push_back(number.get());
            number.set(100);
            co_return;
        };
        auto start = [&]() -> Coro<Server> {
            number.set(7);
            co_return co_await start_server(handler, "127.0.0.1", 0);
        };
        Server server = co_await create_task(start());
        number.set(1);
        for (int i = 0; i < 2; ++i) {
            auto streams = co_await open_connection("127.0.0.1", port_of(server));
            (void)co_await streams.first.read();
            streams.second.close();
        }
        EXPECT_EQ(seen, (std::vector<int>{7, 7}));
        EXPECT_EQ(number.get(), 1);
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

TEST(Server, SRV_08_who_was_accepted_when_the_server_closed_is_served) {
    testing::run([]() -> Coro<> {
        int served = 0;
        int answered = 0;
        auto handler = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            ++served;
            co_await echo(reader, writer);
        };
        for (int i = 0; i < 20; ++i) {
            Server server = co_await start_server(handler, "127.0.0.1", 0);
            co_await sleep(0s);
            Fd client = raw_connect(port_of(server));
            server.close();
            const std::ptrdiff_t sent = os::try_send(client.get(), bytes_of("x"));
            std::ptrdiff_t result = 0;
            auto over = [&] {
                std::byte answer[1];
                result = os::try_receive(client.get(), answer);
                return result != -EAGAIN;
            };
            EXPECT_TRUE(co_await until(over));
            const bool was_reset = sent < 0 || (result < 0 && result != -EAGAIN);
            EXPECT_TRUE(was_reset || result == 1) << "accepted, but not served";
            if (result == 1) ++answered;
            reset(client);
            co_await end(server);
        }
        EXPECT_EQ(served, answered);
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

}  // namespace
}  // namespace asyncio
