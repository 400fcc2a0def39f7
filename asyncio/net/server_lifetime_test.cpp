// SPDX-License-Identifier: MIT
//
// Servers, their handles, records and descriptors when things end in an unusual order.
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
