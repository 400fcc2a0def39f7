// SPDX-License-Identifier: MIT
//
// TLS over real sockets: what open_connection and start_server make of it.
#include <asyncio/asyncio.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <malloc.h>

namespace asyncio::tls_tests {
namespace {

using net_tests::echo;
using net_tests::open_descriptors;
using net_tests::port_of;
using ::testing::HasSubstr;

Coro<> talk(std::uint16_t port, const SSLContext& ctx, std::string text) {
    auto [reader, writer] =
        co_await open_connection("127.0.0.1", port, {.ssl = &ctx, .server_hostname = "localhost"});
    writer.write(text);
    const std::string answer = co_await reader.readexactly(text.size());
    EXPECT_EQ(answer, text);
    writer.close();
    co_await writer.wait_closed();
}

TEST(Tls, TLS_01_a_client_and_a_server_talk) {
    const int before = open_descriptors();
    run([]() -> Coro<> {
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        Server server = co_await start_server(echo, "127.0.0.1", 0, {.ssl = &ours});
        co_await talk(port_of(server), theirs, "hello");
        co_await talk(port_of(server), theirs, std::string(3'000'000, 'x'));
        co_await gather(talk(port_of(server), theirs, "one"), talk(port_of(server), theirs, "two"));
        server.close();
        co_await server.wait_closed();
    });
    EXPECT_LE(open_descriptors(), before + 1);
}

TEST(Tls, TLS_03_a_failed_check_fails_the_connect_and_the_server_goes_on) {
    run([]() -> Coro<> {
        testing::ErrorLog log(get_running_loop());
        const SSLContext ours = server_context();
        Server server = co_await start_server(echo, "127.0.0.1", 0, {.ssl = &ours});
        const SSLContext strangers = ssl::create_default_context();
        const std::string end = co_await end_of(open_connection(
            "127.0.0.1", port_of(server), {.ssl = &strangers, .server_hostname = "localhost"}));
        EXPECT_THAT(end, HasSubstr("SSLCertVerificationError"));
        EXPECT_THAT(end, HasSubstr("unable to get local issuer certificate"));
        const SSLContext theirs = client_context();
        co_await talk(port_of(server), theirs, "still there");
        server.close();
        co_await server.wait_closed();
        EXPECT_TRUE(log.reports().empty());
    });
}

TEST(Tls, TLS_04_and_CONN_13_the_host_is_the_name_that_is_checked) {
    run([]() -> Coro<> {
        const SSLContext ours = server_context({.alternative_names = "IP:127.0.0.1"});
        const SSLContext theirs = client_context();
        Server server = co_await start_server(echo, "127.0.0.1", 0, {.ssl = &ours});
        {
            auto [reader, writer] =
                co_await open_connection("127.0.0.1", port_of(server), {.ssl = &theirs});
            EXPECT_EQ(writer.ssl()->server_hostname(), "127.0.0.1");
            writer.close();
            co_await writer.wait_closed();
        }
        const std::string end = co_await end_of(open_connection(
            "127.0.0.1", port_of(server), {.ssl = &theirs, .server_hostname = "example.org"}));
        EXPECT_THAT(end, HasSubstr("hostname mismatch"));
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Tls, CONN_12_options_of_tls_need_tls_and_a_name) {
    run([]() -> Coro<> {
        const SSLContext ctx = client_context();
        EXPECT_THROW((void)open_connection("127.0.0.1", 1, {.server_hostname = "x"}),
                     std::invalid_argument);
        EXPECT_THROW((void)open_connection("127.0.0.1", 1, {.ssl_handshake_timeout = 1s}),
                     std::invalid_argument);
        EXPECT_THROW((void)open_connection("127.0.0.1", 1, {.ssl_shutdown_timeout = 1s}),
                     std::invalid_argument);
        EXPECT_THROW((void)open_connection({.sock = 0, .ssl = &ctx}), std::invalid_argument);
        EXPECT_THROW((void)open_unix_connection("x", {.ssl = &ctx}), std::invalid_argument);
        EXPECT_THROW(
            (void)open_connection("127.0.0.1", 1, {.ssl = &ctx, .ssl_handshake_timeout = 0s}),
            std::invalid_argument);
        co_return;
    });
}

TEST(Tls, SRV_28_plain_servers_refuse_tls_time_limits) {
    run([]() -> Coro<> {
        EXPECT_THROW((void)start_server(echo, "127.0.0.1", 0, {.ssl_handshake_timeout = 1s}),
                     std::invalid_argument);
        EXPECT_THROW((void)start_server(echo, "127.0.0.1", 0, {.ssl_shutdown_timeout = 1s}),
                     std::invalid_argument);
        EXPECT_THROW((void)start_unix_server(echo, "x", {.ssl_shutdown_timeout = 1s}),
                     std::invalid_argument);
        co_return;
    });
}

TEST(Tls, TLS_05_slow_handshakes_are_dropped_and_leak_nothing) {
    const int before = open_descriptors();
    run([]() -> Coro<> {
        const SSLContext ours = server_context();
        Server server = co_await start_server(echo, "127.0.0.1", 0,
                                              {.ssl = &ours, .ssl_handshake_timeout = 50ms});
        std::vector<os::Fd> silent;
        for (int i = 0; i < 20; ++i) silent.push_back(net_tests::raw_connect(port_of(server)));
        co_await sleep(20ms);  // deadline: the server has accepted some of them
        for (const os::Fd& fd : silent) {
            const auto ended = [&] { return net_tests::raw_ended(fd); };
            const bool dropped = co_await net_tests::until(ended);
            EXPECT_TRUE(dropped);
        }
        server.close();
        co_await server.wait_closed();

        // The other way round: a server that accepts and is silent.
        const net_tests::RawListener listener;
        const SSLContext theirs = client_context();
        const std::string end = co_await end_of(open_connection(
            "127.0.0.1", listener.address.port(), {.ssl = &theirs, .ssl_handshake_timeout = 20ms}));
        EXPECT_THAT(end, HasSubstr("SSL handshake is taking longer than 0.02 seconds"));
        const std::string limited = co_await end_of(wait_for(
            open_connection("127.0.0.1", listener.address.port(), {.ssl = &theirs}), 20ms));
        EXPECT_THAT(limited, HasSubstr("TimeoutError"));
    });
    EXPECT_LE(open_descriptors(), before + 1);
}

TEST(Tls, WR_15_start_tls_upgrades_a_live_connection) {
    run([]() -> Coro<> {
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        const auto handler = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            const std::string command = co_await reader.readline();
            EXPECT_EQ(command, "STARTTLS\n");
            writer.write("go\n");
            co_await writer.start_tls(ours);
            EXPECT_NE(writer.ssl(), nullptr);
            const std::string line = co_await reader.readline();
            writer.write("secret " + line);
            co_await writer.drain();
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        auto [reader, writer] = co_await open_connection("localhost", port_of(server));
        EXPECT_EQ(writer.ssl(), nullptr);
        writer.write("STARTTLS\n");
        const std::string go = co_await reader.readline();
        EXPECT_EQ(go, "go\n");
        co_await writer.start_tls(theirs);  // checks the name that was connected to
        writer.write("word\n");
        const std::string answer = co_await reader.read();
        EXPECT_EQ(answer, "secret word\n");
        writer.close();
        co_await writer.wait_closed();
        server.close();
        co_await server.wait_closed();
    });
}

Coro<> lock_step(StreamReader& reader, StreamWriter& writer) {
    writer.write("welcome\n");
    (void)co_await reader.read();
}

TEST(Tls, close_clients_says_goodbye) {
    run([]() -> Coro<> {
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        Server server = co_await start_server(lock_step, "127.0.0.1", 0, {.ssl = &ours});
        auto [reader, writer] = co_await open_connection(
            "127.0.0.1", port_of(server), {.ssl = &theirs, .server_hostname = "localhost"});
        const std::string welcome = co_await reader.readline();
        EXPECT_EQ(welcome, "welcome\n");
        server.close();
        server.close_clients();
        const std::string end = co_await reader.read();
        EXPECT_EQ(end, "");
        co_await server.wait_closed();
        writer.close();
        co_await writer.wait_closed();
    });
}

TEST(Tls, a_loop_that_closes_under_connections_leaks_nothing) {
    testing::LogLines lines;
    run([]() -> Coro<> {
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        const auto listen_only = [](StreamReader& reader, StreamWriter&) -> Coro<> {
            (void)co_await reader.read();
        };
        Server server = co_await start_server(listen_only, "127.0.0.1", 0, {.ssl = &ours});
        Task<> first = create_task(talk(port_of(server), theirs, std::string(3'000'000, 'x')));
        Task<> second = create_task(talk(port_of(server), theirs, "x"));
        const net_tests::Fd silent = net_tests::raw_connect(port_of(server));
        co_await sleep(5ms);  // deadline: anywhere in their handshakes or after
    });
    EXPECT_TRUE(lines.contains("unclosed server"));
}

TEST(Tls, a_loop_that_closes_under_a_task_says_goodbye_for_its_writer) {
    testing::LogLines lines;
    const net_tests::RawListener listener;
    const SSLContext theirs = client_context();
    tls::Engine server(server_context(), true, "");
    net_tests::Fd raw;
    const auto hear = [&] {
        if (!raw) raw = listener.accept();
        const std::string heard = raw ? net_tests::raw_receive(raw) : "";
        const tls::Engine::Input lend(server, bytes_of(heard));
        if (!server.handshake()) return;
        std::byte nothing[tls::Engine::kRecord];
        EXPECT_EQ(server.read(nothing), 0u);
    };
    EventLoop loop;
    const auto use = [&]() -> Coro<> {
        const auto answer = [&] {
            hear();
            if (server.output().empty()) return false;
            net_tests::raw_send(raw, server.output().take(server.output().size()));
            return true;
        };
        const auto serve = [&]() -> Coro<> { EXPECT_TRUE(co_await net_tests::until(answer)); };
        const Task<> serving = create_task(serve());
        auto [reader, writer] = co_await open_connection(
            "127.0.0.1", listener.address.port(), {.ssl = &theirs, .server_hostname = "localhost"});
        get_running_loop().stop();
        (void)co_await reader.read();
    };
    EXPECT_THROW(loop.run_until_complete(use()), std::logic_error);
    hear();
    EXPECT_TRUE(server.handshake_complete());
    EXPECT_FALSE(server.peer_closed());
    loop.close();
    hear();
    EXPECT_TRUE(server.peer_closed());
}

using Streams = std::pair<StreamReader, StreamWriter>;

Coro<> hold(StreamReader& reader, StreamWriter& writer) {
    const std::string word = co_await reader.readline();
    writer.write(word);
    (void)co_await reader.read();
}

TEST(Tls, an_idle_connection_holds_at_most_40_KiB) {
    run([]() -> Coro<> {
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        Server server = co_await start_server(hold, "127.0.0.1", 0, {.ssl = &ours});
        constexpr std::size_t kConnections = 100;
        std::vector<Streams> open;
        std::size_t before = 0;
        for (std::size_t i = 0; i < 2 * kConnections; ++i) {
            if (i == kConnections) before = ::mallinfo2().uordblks;  // all caches are warm
            open.push_back(co_await open_connection(
                "127.0.0.1", port_of(server), {.ssl = &theirs, .server_hostname = "localhost"}));
            open.back().second.write("word\n");
            const std::string word = co_await open.back().first.readline();
            EXPECT_EQ(word, "word\n");
        }
        // Both ends are here. Sanitizers count nothing.
        const std::size_t each = (::mallinfo2().uordblks - before) / (2 * kConnections);
        ::testing::Test::RecordProperty("bytes_of_an_idle_connection", static_cast<int>(each));
        EXPECT_LE(each, 40u << 10);
        for (Streams& streams : open) streams.second.close();
        for (Streams& streams : open) co_await streams.second.wait_closed();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Tls, unix_sockets_can_be_secure_too) {
    run([]() -> Coro<> {
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        const std::string path("\0asyncio-tls-test", 17);
        Server server = co_await start_unix_server(echo, path, {.ssl = &ours});
        auto [reader, writer] =
            co_await open_unix_connection(path, {.ssl = &theirs, .server_hostname = "localhost"});
        writer.write("local");
        const std::string answer = co_await reader.readexactly(5);
        EXPECT_EQ(answer, "local");
        writer.close();
        co_await writer.wait_closed();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Tls, a_reader_that_stops_stops_the_writer) {
    run([]() -> Coro<> {
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        const testing::ErrorLog log(get_running_loop());  // the handler's connection is lost
        std::size_t most = 0;
        std::size_t written = 0;
        const auto flood = [&](StreamReader&, StreamWriter& writer) -> Coro<> {
            const std::string block(65536, 'f');
            while (written < (1u << 30)) {
                writer.write(block);
                written += block.size();
                most = std::max(most, writer.write_buffer_size());
                co_await writer.drain();
            }
        };
        Server server = co_await start_server(flood, "127.0.0.1", 0, {.ssl = &ours});
        auto [reader, writer] = co_await open_connection(
            "127.0.0.1", port_of(server), {.ssl = &theirs, .server_hostname = "localhost"});
        std::size_t before = 1;
        while (written != before) {  // until it stands still
            before = written;
            for (int i = 0; i < 200; ++i) co_await sleep(0s);
            co_await sleep(10ms);  // deadline: the kernel's buffers fill up
        }
        EXPECT_LE(most, (512u << 10) + (1u << 20));
        EXPECT_LT(written, 64u << 20);
        server.close();
        server.abort_clients();
        writer.abort();
        co_await server.wait_closed();
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
