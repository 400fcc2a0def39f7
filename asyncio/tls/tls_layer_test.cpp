// SPDX-License-Identifier: MIT
//
// The layer between streams and a wire in memory, in virtual time.
#include <asyncio/task/timeout.hpp>
#include <asyncio/task/wait_for.hpp>
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
