// SPDX-License-Identifier: MIT
//
// How a connection ends, on a wire in memory, in virtual time.
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

TEST(TlsLayer, TLS_08_close_flushes_and_says_goodbye) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        std::string text;
        auto reading = create_task(read_to_end(both.server.reader(), text));
        const StreamWriter client = both.client.writer();
        client.write(std::string(300'000, 'y'));
        client.close();
        EXPECT_TRUE(client.is_closing());
        co_await client.wait_closed();
        co_await reading;
        EXPECT_EQ(text, std::string(300'000, 'y'));
        const StreamWriter server = both.server.writer();
        co_await server.wait_closed();  // closed by the peer's goodbye
    });
}

TEST(TlsLayer, TLS_23_a_peer_that_says_no_goodbye_is_given_up) {
    testing::run([]() -> Coro<> {
        Connection both(client_context(), server_context(), {.shutdown_timeout = 7s});
        co_await both.shake_hands();
        both.server.below->pause_reading();
        const TimePoint begin = now();
        const StreamWriter client = both.client.writer();
        client.close();
        const std::string end = co_await end_of(client.wait_closed());
        EXPECT_THAT(end, HasSubstr("SSL shutdown timed out"));
        EXPECT_EQ(now() - begin, 7s);
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

TEST(TlsLayer, TLS_09_what_is_written_while_paused_is_sent_before_the_goodbye) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        both.client.below->stuck = true;
        const StreamWriter client = both.client.writer();
        client.write(std::string(600'000, 'z'));
        EXPECT_TRUE(both.client.core->paused());
        client.write("last");
        client.close();
        both.client.below->unstick();
        std::string text;
        co_await read_to_end(both.server.reader(), text);
        EXPECT_EQ(text, std::string(600'000, 'z') + "last");
        co_await client.wait_closed();
    });
}

TEST(TlsLayer, TLS_10_data_before_the_end_is_delivered_even_to_a_reader_that_paused) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        stream::Transport& server = both.server.layer->transport();
        server.pause_reading();
        const StreamWriter client = both.client.writer();
        client.write("tail");
        client.close();
        co_await sleep(1s);
        EXPECT_FALSE(both.server.core->eof());
        EXPECT_TRUE(both.server.core->buffer().empty());
        server.resume_reading();
        std::string text;
        co_await read_to_end(both.server.reader(), text);
        EXPECT_EQ(text, "tail");
        co_await client.wait_closed();
    });
}

TEST(TlsLayer, TLS_10_data_before_a_missing_goodbye_comes_before_the_error) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        both.client.layer->transport().write(bytes_of("tail"));
        both.client.layer->transport().abort();  // no close_notify
        const std::string tail = co_await both.server.reader().read(100);
        EXPECT_EQ(tail, "tail");
        const std::string end = co_await end_of(both.server.reader().read(100));
        EXPECT_THAT(end, HasSubstr("SSLEOFError"));
        const std::string closed = co_await end_of(both.server.writer().wait_closed());
        EXPECT_THAT(closed, HasSubstr("SSLEOFError"));
    });
}

TEST(TlsLayer, TLS_22_drain_after_the_loss_of_a_busy_connection_fails) {
    testing::run([]() -> Coro<> {
        Connection both;
        co_await both.shake_hands();
        both.client.below->stuck = true;
        const StreamWriter client = both.client.writer();
        client.write(std::string(1'000'000, 'a'));
        both.client.below->abort();
        co_await sleep(1s);
        const std::string end = co_await end_of(client.drain());
        EXPECT_THAT(end, HasSubstr("Connection lost"));
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
