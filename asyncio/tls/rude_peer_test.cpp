// SPDX-License-Identifier: MIT
//
// Peers that keep to the letter of TLS and mean ill, or do what OpenSSL's own side would not: they
// are OpenSSL driven by hand here.
#include <asyncio/stream/protocol.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/tls/context_state.hpp>
#include <asyncio/tls/error.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>
#include <asyncio/tls/tls_layer.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

/// A server on memory BIOs. Its context begins as one of ours, which may be spoilt.
class RudeServer {
  public:
    explicit RudeServer(const SSLContext& context) : context_(context) {
        SSL_CTX* native = context_.state()->native;
        SSL_CTX_set_tlsext_servername_callback(native, nullptr);
        SSL_CTX_sess_set_new_cb(native, nullptr);
        ssl_ = SSL_new(native);
        SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_accept_state(ssl_);
    }
    RudeServer(const RudeServer&) = delete;
    RudeServer& operator=(const RudeServer&) = delete;
    ~RudeServer() { SSL_free(ssl_); }

    SSL* ssl() const noexcept { return ssl_; }
    /// Takes what a client sent; what the server sends then.
    std::string talk(std::string_view from_client) {
        if (!from_client.empty())
            BIO_write(SSL_get_rbio(ssl_), from_client.data(), static_cast<int>(from_client.size()));
        char text[4096];
        for (int n = SSL_read(ssl_, text, sizeof text); n > 0;
             n = SSL_read(ssl_, text, sizeof text))
            received.append(text, static_cast<std::size_t>(n));
        return output();
    }
    void write(std::string_view text) {
        SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
    }
    /// A HelloRequest, which TLS 1.2 clients that do not renegotiate answer with a warning.
    void ask_for_a_new_handshake() {
        SSL_renegotiate(ssl_);
        SSL_do_handshake(ssl_);
        SSL_clear_options(ssl_, SSL_OP_NO_RENEGOTIATION);
    }
    std::string output() {
        std::string out(BIO_ctrl_pending(SSL_get_wbio(ssl_)), '\0');
        if (!out.empty()) BIO_read(SSL_get_wbio(ssl_), out.data(), static_cast<int>(out.size()));
        return out;
    }

    std::string received;

  private:
    SSLContext context_;
    SSL* ssl_;
};

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

/// Such a server on one end of a wire. What it sends is its user's to pass on.
class RudeEnd final : public stream::Protocol {
  public:
    RudeEnd(RudeServer& server, Ref<MemoryTransport> wire)
        : server_(server), wire_(std::move(wire)) {}
    void connection_made(stream::Transport&) override {}
    void data_received(std::span<const std::byte> data) override {
        const std::string out = server_.talk(as_text(data));
        if (holds_back)
            held_back += out;
        else
            send(out);
    }
    bool eof_received() override { return false; }
    void connection_lost(std::exception_ptr) override { lost = true; }
    void pause_writing() override {}
    void resume_writing() override {}
    void destroy() noexcept override { delete this; }
    void send(std::string_view bytes) { wire_->write(bytes_of(bytes)); }

    bool holds_back = false;
    std::string held_back;
    bool lost = false;

  private:
    ~RudeEnd() = default;
    RudeServer& server_;
    Ref<MemoryTransport> wire_;
};

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
