// SPDX-License-Identifier: MIT
//
// Half a message of the peer's about the connection itself: what is written meanwhile, who reads,
// and who closes.
#include <asyncio/stream/protocol.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/tls/context_state.hpp>
#include <asyncio/tls/rude_peer_fixture_test.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>
#include <asyncio/tls/tls_layer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <openssl/ssl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

/// A session ticket that holds the client's certificate, in records so small that it takes several:
/// what the server sends after its handshake, cut behind the first.
class SplitTicket {
  public:
    SplitTicket() : wire(MemoryTransport::make_pair()), server(asking_server()) {
        SSL_set_max_send_fragment(server.ssl(), 512);
        rude = Ref<RudeEnd>(new RudeEnd(server, wire.second));
    }
    /// A connection whose client has got half a ticket.
    Coro<> connect(Endpoint& client) {
        wire.second->start(rude);
        client.start();
        co_await sleep(0s);
        co_await sleep(0s);
        rude->holds_back = true;  // the client's last flight is on its way
        co_await client.handshake();
        while (rude->held_back.empty()) co_await sleep(0s);
        std::string& held = rude->held_back;
        const std::size_t first =
            5 + (static_cast<unsigned char>(held[3]) << 8) + static_cast<unsigned char>(held[4]);
        EXPECT_LT(first, held.size());
        rude->send(held.substr(0, first));
        held.erase(0, first);
        co_await sleep(1s);
    }
    void send_rest() {
        rude->holds_back = false;
        rude->send(std::exchange(rude->held_back, ""));
    }
    static SSLContext client_with_certificate() {
        SSLContext context = client_context();
        const Credentials own = authority().issue({.common_name = "client"});
        context.load_cert_chain_data(own.certificate, own.key);
        return context;
    }

    std::pair<Ref<MemoryTransport>, Ref<MemoryTransport>> wire;
    RudeServer server;
    Ref<RudeEnd> rude;

  private:
    static SSLContext asking_server() {
        SSLContext context = server_context();
        const std::string trusted = authority().certificate();
        context.load_verify_locations({.cadata = trusted});
        SSL_CTX_set_verify(context.state()->native, SSL_VERIFY_PEER, nullptr);
        return context;
    }
};

TEST(RudePeer, what_is_written_while_half_a_message_is_there_waits_for_its_end) {
    testing::run([]() -> Coro<> {
        SplitTicket split;
        Endpoint client(SplitTicket::client_with_certificate(), false, split.wire.first);
        co_await split.connect(client);
        const StreamWriter writer = client.writer();
        writer.write("one ");
        writer.write("two ");
        writer.close();
        EXPECT_TRUE(writer.is_closing());
        co_await sleep(1s);
        EXPECT_EQ(split.server.received, "");
        split.send_rest();
        co_await sleep(1s);
        EXPECT_EQ(split.server.received, "one two ");
        EXPECT_NE(SSL_get_shutdown(split.server.ssl()) & SSL_RECEIVED_SHUTDOWN, 0);
        SSL_shutdown(split.server.ssl());
        split.rude->send(split.server.output());
        co_await writer.wait_closed();
    });
}

TEST(RudePeer, TLS_14_what_waits_for_the_end_of_half_a_message_stops_the_writer) {
    testing::run([]() -> Coro<> {
        SplitTicket split;
        Endpoint client(SplitTicket::client_with_certificate(), false, split.wire.first);
        co_await split.connect(client);
        const StreamWriter writer = client.writer();
        const auto write_much = [&]() -> Coro<> {
            for (int i = 0; i < 100; ++i) {
                writer.write(std::string(100'000, 'x'));
                co_await writer.drain();
            }
        };
        const Task<> writing = create_task(write_much());
        co_await sleep(1s);
        EXPECT_FALSE(writing.done());
        EXPECT_LE(writer.write_buffer_size(), tls::kHighWater + 100'000);
        split.send_rest();
        co_await wait_for(writing, 10s);
        co_await sleep(1s);
        EXPECT_EQ(split.server.received.size(), 10'000'000u);
        writer.abort();
        split.wire.second->abort();
        co_await sleep(1s);
    });
}

TEST(RudePeer, SENDF_09_a_file_that_waits_for_the_end_of_half_a_message_goes_on_with_it) {
    testing::run([]() -> Coro<> {
        constexpr std::size_t kSize = 4 * tls::kHighWater;
        SplitTicket split;
        Endpoint client(SplitTicket::client_with_certificate(), false, split.wire.first);
        co_await split.connect(client);
        const int file = ::memfd_create("asyncio", MFD_CLOEXEC);
        EXPECT_EQ(::ftruncate(file, kSize), 0);
        stream::Transport& transport = client.layer->transport();
        Task<std::size_t> task = create_task(get_running_loop().sendfile(transport, file));
        co_await sleep(1s);
        EXPECT_FALSE(task.done());
        EXPECT_LE(transport.get_write_buffer_size(), kSize / 2);
        split.send_rest();
        EXPECT_EQ(co_await end_of(wait_for(std::move(task), 10s)), "ok");
        co_await sleep(1s);
        EXPECT_EQ(split.server.received.size(), kSize);
        ::close(file);
        client.writer().abort();
        split.wire.second->abort();
        co_await sleep(1s);
    });
}

/// Takes no more than it may send.
class Echo final : public Protocol {
  public:
    explicit Echo(Transport& transport) : transport_(transport) {}
    void data_received(std::span<const std::byte> data) override { received += as_text(data); }
    void pause_writing() override { transport_.pause_reading(); }
    void resume_writing() override { transport_.resume_reading(); }
    std::string received;

  private:
    Transport& transport_;
};

TEST(RudePeer, half_a_message_is_read_to_its_end_for_who_reads_no_more_until_he_may_write) {
    testing::run([]() -> Coro<> {
        SplitTicket split;
        Endpoint client(SplitTicket::client_with_certificate(), false, split.wire.first);
        co_await split.connect(client);
        stream::Transport& transport = client.layer->transport();
        const Ref<Echo> echo(new Echo(transport));
        transport.set_protocol(echo);
        transport.write(std::string(2 * tls::kHighWater, 'x'));
        EXPECT_FALSE(transport.is_reading());
        co_await sleep(1s);
        EXPECT_EQ(split.server.received, "");
        split.wire.first->stuck = true;  // so that the pause goes on
        split.server.write("an answer, too early");
        split.rude->held_back += split.server.output();
        split.send_rest();
        co_await sleep(1s);
        EXPECT_FALSE(transport.is_reading());
        EXPECT_FALSE(split.wire.first->is_reading());
        EXPECT_EQ(echo->received, "");
        split.wire.first->unstick();
        co_await sleep(1s);
        EXPECT_EQ(split.server.received.size(), 2 * tls::kHighWater);
        EXPECT_TRUE(transport.is_reading());
        EXPECT_EQ(echo->received, "an answer, too early");
        transport.abort();
        split.wire.second->abort();
        co_await sleep(1s);
    });
}

TEST(RudePeer, half_a_message_is_read_to_its_end_for_who_writes_while_he_does_not_read) {
    testing::run([]() -> Coro<> {
        for (const bool pauses_first : {true, false}) {
            SplitTicket split;
            split.wire.first->piece = 100;
            Endpoint client(SplitTicket::client_with_certificate(), false, split.wire.first);
            co_await split.connect(client);
            stream::Transport& transport = client.layer->transport();
            if (pauses_first) {
                transport.pause_reading();
                EXPECT_FALSE(split.wire.first->is_reading());
            }
            transport.write("one");
            transport.pause_reading();
            split.send_rest();
            co_await sleep(1s);
            EXPECT_EQ(split.server.received, "one");
            EXPECT_FALSE(transport.is_reading());
            EXPECT_FALSE(split.wire.first->is_reading());
            transport.abort();
            split.wire.second->abort();
            co_await sleep(1s);
        }
    });
}

TEST(RudePeer, who_closes_and_pauses_with_half_a_message_there_sends_what_was_written) {
    testing::run([]() -> Coro<> {
        SplitTicket split;
        Endpoint client(SplitTicket::client_with_certificate(), false, split.wire.first);
        co_await split.connect(client);
        const StreamWriter writer = client.writer();
        writer.write("one");
        writer.close();
        client.layer->transport().pause_reading();
        split.send_rest();
        co_await sleep(1s);
        EXPECT_EQ(split.server.received, "one");
        split.wire.second->abort();
        co_await sleep(1s);
    });
}

TEST(RudePeer, half_a_message_does_not_hold_up_closing_for_ever) {
    testing::run([]() -> Coro<> {
        for (const bool with_data : {false, true}) {
            SplitTicket split;
            Endpoint client(SplitTicket::client_with_certificate(), false, split.wire.first);
            co_await split.connect(client);
            const StreamWriter writer = client.writer();
            const TimePoint begin = get_running_loop().time();
            if (with_data) writer.write("never sent");
            writer.close();
            const auto outcome = co_await as_outcome(writer.wait_closed());
            EXPECT_THAT(error_of(outcome), HasSubstr("SSL shutdown timed out"));
            EXPECT_LE(get_running_loop().time() - begin, 31s);
            split.wire.second->abort();
            co_await sleep(1s);
        }
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
