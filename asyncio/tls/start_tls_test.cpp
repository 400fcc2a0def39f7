// SPDX-License-Identifier: MIT
//
// Streams in use that become secure, on a wire in memory, in virtual time.
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

TEST(TlsLayer, WR_16_start_tls_keeps_what_came_before_and_after) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        const Ref<stream::StreamCore> client_core(new stream::StreamCore(65536));
        const Ref<stream::StreamCore> server_core(new stream::StreamCore(65536));
        wire.first->start(client_core);
        wire.second->start(server_core);
        const StreamReader client_reader(client_core), server_reader(server_core);
        const StreamWriter client(client_core), server(server_core);
        client.write("STARTTLS\n");
        const SSLContext ours = client_context();
        // The hello comes into the server's reader before it begins.
        auto upgrading = create_task(client.start_tls(ours, {.server_hostname = "localhost"}));
        co_await sleep(1s);
        const std::string command = co_await server_reader.readline();
        EXPECT_EQ(command, "STARTTLS\n");
        EXPECT_FALSE(server_core->buffer().empty());
        const SSLContext theirs = server_context();
        co_await server.start_tls(theirs, {.server_side = true});
        co_await upgrading;
        EXPECT_NE(client.ssl(), nullptr);
        client.write("secret\n");
        const std::string line = co_await server_reader.readline();
        EXPECT_EQ(line, "secret\n");
        client.close();
        co_await client.wait_closed();
        const std::string rest = co_await server_reader.read();
        EXPECT_EQ(rest, "");
    });
}

TEST(TlsLayer, WR_16_plain_text_before_the_handshake_is_not_taken_for_an_answer) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        const Ref<stream::StreamCore> core(new stream::StreamCore(65536));
        wire.first->start(core);
        const StreamReader reader(core);
        const StreamWriter client(core);
        wire.second->write(bytes_of("go ahead\nINJECTED\n"));
        const std::string line = co_await reader.readline();
        EXPECT_EQ(line, "go ahead\n");
        const SSLContext ours = client_context();
        const std::string end =
            co_await end_of(client.start_tls(ours, {.server_hostname = "localhost"}));
        EXPECT_THAT(end, HasSubstr("wrong version number"));
        const std::string read = co_await end_of(reader.read());
        EXPECT_THAT(read, HasSubstr("SSLError"));
        wire.second->abort();
        co_await sleep(1s);
    });
}

TEST(TlsLayer, TLS_17_cancelling_start_tls_closes_the_connection) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        const Ref<stream::StreamCore> core(new stream::StreamCore(65536));
        wire.first->start(core);
        const StreamWriter client(core);
        const SSLContext ours = client_context();
        auto upgrading = create_task(client.start_tls(ours, {.server_hostname = "localhost"}));
        co_await sleep(1s);
        upgrading.cancel();
        const std::string end = co_await end_of(upgrading);
        EXPECT_EQ(end, "cancelled");
        EXPECT_TRUE(client.is_closing());
        wire.second->abort();
        co_await client.wait_closed();
    });
}

TEST(TlsLayer, TLS_17_start_tls_that_ends_before_the_handshake_closes_the_connection) {
    testing::run([]() -> Coro<> {
        const SSLContext ours = client_context();
        for (const bool is_cancelled : {true, false}) {
            auto wire = MemoryTransport::make_pair();
            const Ref<stream::StreamCore> core(new stream::StreamCore(65536));
            wire.first->start(core);
            const StreamWriter client(core);
            wire.first->stuck = is_cancelled;  // else the peer has ended its half
            if (is_cancelled)
                client.write(std::string(1 << 20, 'x'));
            else
                core->feed_eof();
            auto upgrading = create_task(client.start_tls(ours, {.server_hostname = "localhost"}));
            co_await sleep(1s);
            if (is_cancelled) upgrading.cancel();
            const std::string end = co_await end_of(upgrading);
            EXPECT_THAT(end, HasSubstr(is_cancelled ? "cancelled" : "start_tls"));
            EXPECT_TRUE(client.is_closing());
            wire.second->abort();
            co_await client.wait_closed();
        }
    });
}

TEST(TlsLayer, TLS_15_start_tls_refuses_what_cannot_be_upgraded) {
    testing::run([]() -> Coro<> {
        const SSLContext ours = client_context();
        const StreamWriter nothing(Ref<stream::StreamCore>(new stream::StreamCore(10)));
        EXPECT_THROW((void)nothing.start_tls(ours), std::logic_error);
        auto wire = MemoryTransport::make_pair();
        const Ref<stream::StreamCore> core(new stream::StreamCore(65536));
        wire.first->start(core);
        const StreamWriter client(core);
        EXPECT_THROW((void)client.start_tls(ours, {.ssl_handshake_timeout = 0s}),
                     std::invalid_argument);
        const std::string end = co_await end_of(client.start_tls(ours));  // no name to check
        EXPECT_THAT(end, HasSubstr("check_hostname requires server_hostname"));
        client.close();
        const std::string closing = co_await end_of(client.start_tls(ours));
        EXPECT_THAT(closing, HasSubstr("system_error"));
        wire.second->abort();
        co_await client.wait_closed();
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
