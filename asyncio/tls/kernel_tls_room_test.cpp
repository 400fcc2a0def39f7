// SPDX-License-Identifier: MIT
//
// What OpenSSL itself has to say, where a kernel encrypts: it waits behind what was written, and
// for room, within the time limits.
#include <asyncio/tls/kernel_connection_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

TEST(KernelTls, a_handshake_waits_until_what_it_said_is_with_the_system) {
    testing::run([]() -> Coro<> {
        for (const bool server_waits : {false, true}) {
            KernelConnection both;
            Endpoint& slow = server_waits ? both.server : both.client;
            slow.below->stuck = true;
            both.start();
            auto shaken = create_task([](KernelConnection& c) -> Coro<> {
                co_await gather(c.client.handshake(), c.server.handshake());
            }(both));
            // Each flight gets stuck anew; the first ones are one for either side.
            for (int i = 0; i < 4 && !shaken.done(); ++i) {
                co_await sleep(1s);
                slow.below->unstick();
                slow.below->stuck = true;
            }
            slow.below->unstick();
            co_await shaken;
            EXPECT_GT(slow.below->kernel->waits, 0);
            EXPECT_TRUE(kernel_sends(both.client) && kernel_sends(both.server));
            co_await exchange(both.client, both.server, 1000);
            co_await exchange(both.server, both.client, 1000);
            co_await close_both(both);
        }
    });
}

TEST(KernelTls, tickets_wait_for_room) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        both.of_server().error = EAGAIN;
        both.start();
        co_await both.client.handshake();
        auto server = create_task(end_of(both.server.handshake()));
        co_await sleep(1s);
        EXPECT_FALSE(server.done());
        EXPECT_EQ(both.of_server().waits, 1);  // not asked again and again
        both.of_server().error = 0;
        both.of_server().look();
        const std::string end = co_await server;
        EXPECT_EQ(end, "ok");
        EXPECT_EQ(both.of_server().types, "hh");
        co_await exchange(both.server, both.client, 100);
        co_await close_both(both);
    });
}

TEST(KernelTls, a_handshake_without_room_has_its_time_limit_and_can_be_closed) {
    testing::run([]() -> Coro<> {
        for (const bool closes : {false, true}) {
            KernelConnection both;
            both.of_server().error = EAGAIN;
            both.start();
            co_await both.client.handshake();
            auto server = create_task(end_of(both.server.handshake()));
            co_await sleep(1s);
            if (closes) both.server.layer->transport().close();
            const std::string end = co_await server;
            EXPECT_THAT(end, HasSubstr(closes ? "the connection was closed" : "60.0 seconds"));
            co_await sleep(1s);
            EXPECT_EQ(both.server.below->get_protocol(), nullptr);
            both.client.writer().abort();
            co_await sleep(1s);
        }
    });
}

TEST(KernelTls, who_takes_no_tickets_is_read_all_the_same) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        both.of_server().error = EPIPE;
        co_await both.shake_hands();
        co_await exchange(both.client, both.server, 1000);
        both.client.writer().abort();
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

TEST(KernelTls, who_ends_before_there_is_room_for_tickets_is_read_all_the_same) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        both.of_server().error = EAGAIN;
        both.start();
        co_await both.client.handshake();
        both.client.layer->transport().write(bytes_of("all I have to say"));
        both.client.writer().close();
        both.server.below->hear_end();
        auto server = create_task(end_of(both.server.handshake()));
        co_await sleep(1s);
        both.of_server().error = 0;
        both.of_server().look();
        const std::string end = co_await server;
        EXPECT_EQ(end, "ok");
        const std::string heard = co_await both.server.reader().read();
        EXPECT_EQ(heard, "all I have to say");
        both.client.writer().abort();
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

TEST(KernelTls, a_goodbye_waits_behind_what_was_written_and_for_room) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        co_await both.shake_hands();
        both.client.below->stuck = true;
        both.of_client().error = EAGAIN;
        const StreamWriter client = both.client.writer();
        client.write(pattern(100'000));
        client.close();
        std::string text;
        auto reading = create_task(read_to_end(both.server.reader(), text));
        co_await sleep(1s);
        EXPECT_EQ(both.of_client().types, "");
        both.client.below->unstick();
        co_await sleep(1s);
        EXPECT_EQ(both.of_client().types, "");
        EXPECT_FALSE(reading.done());
        both.of_client().error = 0;
        both.of_client().look();
        co_await reading;
        EXPECT_EQ(both.of_client().types, "a");
        EXPECT_TRUE(text == pattern(100'000));
        co_await client.wait_closed();
    });
}

TEST(KernelTls, a_goodbye_that_finds_no_room_is_given_up) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        co_await both.shake_hands();
        both.of_client().error = EAGAIN;
        const TimePoint begin = now();
        const StreamWriter client = both.client.writer();
        client.close();
        const std::string end = co_await end_of(client.wait_closed());
        EXPECT_THAT(end, HasSubstr("SSL shutdown timed out"));
        EXPECT_EQ(now() - begin, 30s);
        const std::string cut = co_await end_of(both.server.reader().read());
        EXPECT_THAT(cut, HasSubstr("SSLEOFError"));  // never a clean end
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

TEST(KernelTls, both_say_goodbye_before_either_closes) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        co_await both.shake_hands();
        both.of_client().error = EAGAIN;
        const StreamWriter client = both.client.writer();
        const StreamWriter server = both.server.writer();
        server.close();  // its goodbye makes the client close, which has no room yet
        co_await sleep(1s);
        EXPECT_FALSE(both.client.below->is_closing());
        both.of_client().error = 0;
        both.of_client().look();
        std::string ends = co_await end_of(server.wait_closed());
        ends += co_await end_of(client.wait_closed());
        EXPECT_EQ(ends, "okok");
        EXPECT_EQ(both.of_client().types, "a");
    });
}

TEST(KernelTls, a_goodbye_that_waits_goes_out_though_the_peer_has_ended) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        co_await both.shake_hands();
        const StreamWriter client = both.client.writer();
        std::string heard;
        auto reading = create_task(read_to_end(both.server.reader(), heard));
        both.client.below->stuck = true;
        client.write(pattern(100'000));
        client.close();
        co_await sleep(1s);
        both.client.below->hear_end();  // the peer sends no more, and reads on
        co_await sleep(1s);
        EXPECT_FALSE(both.client.below->is_closing());
        both.client.below->unstick();
        const std::string end = co_await end_of(std::move(reading));
        EXPECT_EQ(end, "ok");
        EXPECT_TRUE(heard == pattern(100'000));
        EXPECT_EQ(both.of_client().types, "a");
        const std::string closed = co_await end_of(client.wait_closed());
        EXPECT_EQ(closed, "ok");
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

TEST(KernelTls, a_record_that_cannot_be_sent_fails_the_connection) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        co_await both.shake_hands();
        both.of_client().error = ENOMEM;
        const StreamWriter client = both.client.writer();
        client.close();
        const std::string end = co_await end_of(client.wait_closed());
        EXPECT_THAT(end, HasSubstr("send a TLS record"));
        const std::string cut = co_await end_of(both.server.reader().read());
        EXPECT_THAT(cut, HasSubstr("SSLEOFError"));
        both.server.writer().abort();
        co_await sleep(1s);
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
