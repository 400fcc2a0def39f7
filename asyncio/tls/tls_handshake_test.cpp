// SPDX-License-Identifier: MIT
//
// How a connection begins, on a wire in memory, in virtual time.
#include <asyncio/task/wait_for.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

TEST(TlsLayer, TLS_02_the_protocol_is_connected_after_the_handshake) {
    testing::run([]() -> Coro<> {
        Connection both;
        both.start();
        EXPECT_EQ(both.client.core->transport(), nullptr);
        EXPECT_EQ(both.server.core->transport(), nullptr);
        co_await gather(both.client.handshake(), both.server.handshake());
        EXPECT_EQ(both.client.core->transport(), &both.client.layer->transport());
        EXPECT_NE(both.client.core->transport(), nullptr);
        both.client.writer().abort();
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

TEST(TlsLayer, TLS_03_a_refused_certificate_fails_both_sides) {
    testing::run([]() -> Coro<> {
        Connection both(ssl::create_default_context());
        both.start();
        auto client = create_task(end_of(both.client.handshake()));
        auto server = create_task(end_of(both.server.handshake()));
        const std::string client_end = co_await client;
        const std::string server_end = co_await server;
        EXPECT_THAT(client_end, HasSubstr("SSLCertVerificationError"));
        EXPECT_THAT(server_end, HasSubstr("alert unknown ca"));
        EXPECT_EQ(both.client.core->transport(), nullptr);
        EXPECT_FALSE(both.server.core->lost());  // nor connected
    });
}

TEST(TlsLayer, TLS_05_a_handshake_has_a_time_limit) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        Endpoint client(client_context(), false, wire.first, {.handshake_timeout = 5s});
        const TimePoint begin = now();
        client.start();
        const std::string end = co_await end_of(client.handshake());
        EXPECT_THAT(end, HasSubstr("SSL handshake is taking longer than 5.0 seconds"));
        EXPECT_EQ(now() - begin, 5s);
        wire.second->abort();
        co_await sleep(1s);
        EXPECT_EQ(wire.first->get_protocol(), nullptr);

        auto wire2 = MemoryTransport::make_pair();
        Endpoint server(server_context(), true, wire2.second);
        server.start();
        const std::string end2 = co_await end_of(server.handshake());
        EXPECT_THAT(end2, HasSubstr("longer than 60.0 seconds"));
        wire2.first->abort();
        co_await sleep(1s);
    });
}

TEST(TlsLayer, TLS_05_a_handshake_can_be_cancelled) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        Endpoint client(client_context(), false, wire.first);
        client.start();
        const std::string end = co_await end_of(wait_for(client.handshake(), 1s));
        EXPECT_THAT(end, HasSubstr("TimeoutError"));
        co_await sleep(1s);
        EXPECT_TRUE(wire.first->is_closing());
        EXPECT_EQ(wire.first->get_protocol(), nullptr);
        wire.second->abort();
        co_await sleep(1s);
    });
}

TEST(TlsLayer, TLS_06_the_peers_end_in_the_handshake_is_a_reset) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        Endpoint client(client_context(), false, wire.first);
        client.start();
        wire.second->close();
        auto outcome = co_await as_outcome(client.handshake());
        EXPECT_FALSE(outcome);
        try {
            outcome.value();
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code().value(), ECONNRESET);
        }
        co_await sleep(1s);
    });
}

TEST(TlsLayer, TLS_07_closing_during_the_handshake_aborts) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        Endpoint client(client_context(), false, wire.first);
        client.start();
        client.layer->transport().close();
        const std::string end = co_await end_of(client.handshake());
        EXPECT_THAT(end, HasSubstr("the connection was closed"));
        EXPECT_TRUE(wire.first->is_closing());
        wire.second->abort();
        co_await sleep(1s);
        EXPECT_EQ(wire.first->get_protocol(), nullptr);
    });
}

TEST(TlsLayer, a_peer_that_sends_garbage_is_refused_at_once) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        Endpoint server(server_context(), true, wire.second);
        server.start();
        wire.first->write(bytes_of("GET / HTTP/1.0\r\n\r\n"));
        const std::string end = co_await end_of(server.handshake());
        EXPECT_THAT(end, HasSubstr("http request"));
        wire.first->abort();
        co_await sleep(1s);
        EXPECT_EQ(wire.second->get_protocol(), nullptr);
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
