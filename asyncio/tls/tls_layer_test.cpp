// SPDX-License-Identifier: MIT
//
// The layer between streams and a wire in memory, in virtual time.
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

TEST(TlsLayer, TLS_01_streams_exchange_data) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        StreamWriter client = both.client.writer();
        StreamWriter server = both.server.writer();
        client.write("one\ntwo\n");
        server.write(std::string(200'000, 'x'));
        const std::string one = co_await both.server.reader().readline();
        const std::string two = co_await both.server.reader().readline();
        EXPECT_EQ(one + two, "one\ntwo\n");
        const std::string many = co_await both.client.reader().readexactly(200'000);
        EXPECT_EQ(many, std::string(200'000, 'x'));
        client.close();
        server.close();
        co_await gather(client.wait_closed(), server.wait_closed());
        EXPECT_TRUE(both.client.reader().at_eof());
        EXPECT_TRUE(both.server.reader().at_eof());
    });
}

TEST(TlsLayer, TLS_14_a_reader_that_paused_stays_so_when_somebody_resumes_the_transport_below) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        stream::Transport& server = both.server.layer->transport();
        server.pause_reading();
        both.server.below->resume_reading();
        const StreamWriter client = both.client.writer();
        client.write("kept");
        co_await sleep(1s);
        EXPECT_FALSE(both.server.below->is_reading());
        EXPECT_TRUE(both.server.core->buffer().empty());
        server.resume_reading();
        const std::string kept = co_await both.server.reader().readexactly(4);
        EXPECT_EQ(kept, "kept");
        client.abort();
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

TEST(TlsLayer, TLS_12_write_eof_is_not_supported_and_writes_after_close_are_ignored) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        const StreamWriter client = both.client.writer();
        EXPECT_FALSE(client.can_write_eof());
        EXPECT_THROW(client.write_eof(), std::logic_error);
        client.write("before");
        client.close();
        client.write("after");
        std::string text;
        co_await read_to_end(both.server.reader(), text);
        EXPECT_EQ(text, "before");
        co_await client.wait_closed();
    });
}

TEST(TlsLayer, TLS_13_extra_info_is_there_until_the_connection_is_lost) {
    testing::run([]() -> Coro<> {
        Connection both;
        both.start();
        EXPECT_EQ(both.client.layer->transport().ssl_object(), nullptr);
        co_await gather(both.client.handshake(), both.server.handshake());
        const StreamWriter client = both.client.writer();
        EXPECT_NE(client.ssl(), nullptr);
        if (client.ssl() == nullptr) co_return;
        EXPECT_EQ(client.ssl()->version(), "TLSv1.3");
        EXPECT_EQ(client.ssl()->getpeercert()->common_name, "localhost");
        EXPECT_EQ(client.ssl()->server_hostname(), "localhost");
        EXPECT_EQ(&client.peername(), &both.client.below->peername());
        client.close();
        co_await client.wait_closed();
        EXPECT_EQ(client.ssl(), nullptr);
    });
}

TEST(TlsLayer, TLS_14_flow_control_in_both_directions) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        both.client.below->stuck = true;
        const StreamWriter client = both.client.writer();
        client.write(std::string(520'000, 'a'));
        EXPECT_FALSE(both.client.core->paused());
        client.write(std::string(10'000, 'a'));
        EXPECT_TRUE(both.client.core->paused());
        EXPECT_GE(client.write_buffer_size(), 524'288u);
        both.client.below->unstick();
        EXPECT_FALSE(both.client.core->paused());
        co_await sleep(1s);
        // Nobody reads on the server: what is above twice its limit stops the transport below.
        EXPECT_FALSE(both.server.below->is_reading());
        EXPECT_LE(both.server.core->buffer().size(), 2 * 65536u + 16384);
        const std::string all = co_await both.server.reader().readexactly(530'000);
        EXPECT_EQ(all.size(), 530'000u);
        EXPECT_TRUE(both.server.below->is_reading());
        client.set_write_buffer_limits(1000, 100);
        both.client.below->stuck = true;
        client.write(std::string(1000, 'b'));
        EXPECT_TRUE(both.client.core->paused());
        both.client.below->unstick();
        client.abort();
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

TEST(TlsLayer, TLS_18_tls_inside_tls) {
    testing::run([]() -> Coro<> {
        Connection outer;
        co_await outer.shake_hands();
        const StreamWriter client = outer.client.writer();
        const StreamWriter server = outer.server.writer();
        const SSLContext inner_client = client_context();
        const SSLContext inner_server = server_context();
        co_await gather(client.start_tls(inner_client, {.server_hostname = "localhost"}),
                        server.start_tls(inner_server, {.server_side = true}));
        client.write("deep");
        const std::string deep = co_await outer.server.reader().readexactly(4);
        EXPECT_EQ(deep, "deep");
        server.write(std::string(100'000, 'q'));
        server.close();
        std::string text;
        co_await read_to_end(outer.client.reader(), text);
        EXPECT_EQ(text.size(), 100'000u);
        co_await gather(client.wait_closed(), server.wait_closed());
    });
}

TEST(TlsLayer, TLS_18_a_cut_inside_tls_inside_tls_is_an_error) {
    testing::run([]() -> Coro<> {
        Connection outer;
        co_await outer.shake_hands();
        const StreamWriter client = outer.client.writer();
        const StreamWriter server = outer.server.writer();
        const SSLContext inner_client = client_context();
        const SSLContext inner_server = server_context();
        stream::Transport& outer_transport = *server.transport();
        const Ref<stream::Transport> keep(&outer_transport);
        co_await gather(client.start_tls(inner_client, {.server_hostname = "localhost"}),
                        server.start_tls(inner_server, {.server_side = true}));
        keep->close();  // the outer one says goodbye, the inner one does not
        const std::string end = co_await end_of(outer.client.reader().read());
        EXPECT_THAT(end, HasSubstr("SSLEOFError"));
        co_await sleep(40s);
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
