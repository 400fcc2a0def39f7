// SPDX-License-Identifier: MIT
//
// Peers that keep to the letter of TLS and mean ill, or do what OpenSSL's own side would not: they
// are OpenSSL driven by hand here.
#include <asyncio/stream/protocol.hpp>
#include <asyncio/tls/context_state.hpp>
#include <asyncio/tls/error.hpp>
#include <asyncio/tls/rude_peer_fixture_test.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>
#include <asyncio/tls/tls_layer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <openssl/ssl.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

std::string output_of(tls::Engine& engine) { return engine.output().take(engine.output().size()); }

void shake_hands(tls::Engine& client, RudeServer& server) {
    client.handshake();
    for (int i = 0; i < 3; ++i) {
        const std::string answer = server.talk(output_of(client));
        const tls::Engine::Input lend(client, bytes_of(answer));
        client.handshake();
    }
    EXPECT_TRUE(client.handshake_complete());
}

std::string read_all(tls::Engine& engine, std::string_view ciphertext) {
    const tls::Engine::Input lend(engine, bytes_of(ciphertext));
    std::string text;
    std::byte memory[tls::Engine::kRecord];
    while (const std::size_t count = engine.read(memory))
        text.append(reinterpret_cast<const char*>(memory), count);
    return text;
}

SSLContext renegotiating_server() {
    SSLContext context = server_context();
    SSL_CTX_set_max_proto_version(context.state()->native, TLS1_2_VERSION);
    SSL_CTX_clear_options(context.state()->native, SSL_OP_NO_RENEGOTIATION);
    return context;
}

TEST(RudePeer, requests_for_new_handshakes_are_refused_and_not_without_end) {
    tls::Engine client(client_context(), false, "localhost");
    RudeServer server(renegotiating_server());
    shake_hands(client, server);
    server.ask_for_a_new_handshake();
    EXPECT_EQ(read_all(client, server.output()), "");
    EXPECT_GT(client.output().size(), 0u);  // "no, thank you"
    std::string error;
    std::size_t most = 0;
    for (int i = 0; i < 10'000 && error.empty(); ++i) {
        server.ask_for_a_new_handshake();
        try {
            (void)read_all(client, server.output());
        } catch (const ssl::SSLError& refused) {
            error = refused.what();
        }
        most = std::max(most, client.output().size());
    }
    EXPECT_THAT(error, HasSubstr("too many"));
    EXPECT_LE(most, 32'768u);
}

TEST(RudePeer, answers_nobody_takes_do_not_pile_up) {
    testing::run([]() -> Coro<> {
        auto wire = MemoryTransport::make_pair();
        RudeServer server(renegotiating_server());
        const Ref<RudeEnd> rude(new RudeEnd(server, wire.second));
        Endpoint client(client_context(), false, wire.first);
        wire.second->start(rude);
        client.start();
        co_await client.handshake();
        wire.first->stuck = true;
        const StreamReader reader = client.reader();
        std::string received;
        std::size_t most = 0;
        std::string error;
        for (int i = 0; i < 2000 && error.empty(); ++i) {
            for (int n = 0; n < 50; ++n) server.ask_for_a_new_handshake();
            server.write("x");
            rude->send(server.output());
            const auto outcome = co_await as_outcome(reader.read(1));
            if (!outcome) error = describe(outcome.error());
            most = std::max(most, wire.first->get_write_buffer_size());
        }
        EXPECT_THAT(error, HasSubstr("too many"));
        EXPECT_GT(most, tls::kHighWater - 10'000);
        EXPECT_LE(most, tls::kHighWater + (100u << 10));
        client.layer->transport().abort();
        wire.second->abort();
        co_await sleep(1s);
    });
}

/// Leaves in one of the two ways as soon as it is to pause.
class Impatient final : public Protocol {
  public:
    explicit Impatient(bool aborts) : aborts_(aborts) {}
    void connection_made(Transport& transport) override {
        transport_ = &transport;
        transport.set_write_buffer_limits(0);
    }
    void data_received(std::span<const std::byte> data) override {
        EXPECT_FALSE(transport_->is_closing());
        received += as_text(data);
    }
    void pause_writing() override {
        if (aborts_)
            transport_->abort();
        else
            transport_->close();
        left = true;
    }

    std::string received;
    bool left = false;

  private:
    bool aborts_;
    Transport* transport_ = nullptr;
};

TEST(RudePeer, who_leaves_because_of_an_answer_is_given_no_more_data) {
    testing::run([]() -> Coro<> {
        for (const bool aborts : {false, true}) {
            auto wire = MemoryTransport::make_pair();
            RudeServer server(renegotiating_server());
            const Ref<RudeEnd> rude(new RudeEnd(server, wire.second));
            const Ref<Impatient> above(new Impatient(aborts));
            wire.second->start(rude);
            wire.first->start(client_context().wrap(above, {.server_hostname = "localhost"}));
            co_await sleep(1s);
            wire.first->stuck = true;
            server.ask_for_a_new_handshake();  // which is answered
            server.write("one");
            server.write("two");
            rude->send(server.output());
            co_await sleep(1s);
            EXPECT_TRUE(above->left);
            EXPECT_EQ(above->received, "one");
            wire.first->abort();
            wire.second->abort();
            co_await sleep(1s);
        }
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
