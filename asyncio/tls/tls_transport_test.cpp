// SPDX-License-Identifier: MIT
//
// Protocols of the user's over a TLS layer: what they do in their callbacks, and its lifetimes.
#include <asyncio/stream/leaving_fixture_test.hpp>
#include <asyncio/stream/protocol.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

/// A client protocol of the user's, and streams as the server, on a wire in memory.
struct Link {
    explicit Link(Ref<stream::Protocol> protocol)
        : wire(MemoryTransport::make_pair()),
          server(server_context(), true, wire.second),
          layer(client_context().wrap(std::move(protocol), {.server_hostname = "localhost"})) {}
    Coro<> shake_hands() {
        server.start();
        wire.first->start(layer);
        co_await stream::handshake(layer);
    }
    /// Both sides are done.
    Coro<> end() {
        layer->transport().abort();
        server.layer->transport().abort();
        co_await sleep(1s);
    }

    std::pair<Ref<MemoryTransport>, Ref<MemoryTransport>> wire;
    Endpoint server;
    Ref<stream::SecureLayer> layer;
};

class Failing final : public Protocol {
  public:
    void connection_made(Transport&) override { throw std::runtime_error("not this one"); }
};

TEST(TlsTransport, a_failing_connection_made_fails_the_handshake) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        Link link(Ref<stream::Protocol>(new Failing));
        const auto outcome = co_await as_outcome(link.shake_hands());
        EXPECT_THAT(error_of(outcome), HasSubstr("not this one"));
        EXPECT_EQ(errors.reports().size(), 1u);
        co_await link.end();
    });
}

/// Fills the transport in connection_made, and writes down when it is told to pause and go on.
class Filling final : public Protocol {
  public:
    explicit Filling(std::string& told) : told_(told) {}
    void connection_made(Transport& transport) override {
        told_ += "made ";
        transport.set_write_buffer_limits(1000);
        transport.write(std::string(100'000, 'x'));
    }
    void pause_writing() override { told_ += "pause "; }
    void resume_writing() override { told_ += "resume "; }

  private:
    std::string& told_;
};

TEST(TlsTransport, TRN_07_pausing_is_paired_for_what_connection_made_writes) {
    testing::run([]() -> Coro<> {
        std::string told;
        Link link{Ref<stream::Protocol>(new Filling(told))};
        link.server.start();
        link.wire.first->start(link.layer);
        link.wire.first->stuck = true;  // all but the first message
        while (told.empty()) co_await sleep(0s);
        EXPECT_EQ(told, "made pause ");
        link.wire.first->unstick();
        co_await sleep(1s);
        EXPECT_EQ(told, "made pause resume ");
        co_await link.end();
    });
}

TEST(TlsTransport,
     TLS_20_a_protocol_that_is_replaced_in_its_own_callback_lives_until_that_returns) {
    testing::run([]() -> Coro<> {
        for (const std::string when : {"made", "data", "eof", "pause", "resume"}) {
            std::string log;
            Link link{Ref<stream::Protocol>(new Leaving(when, Ref<Protocol>(new Protocol), log))};
            co_await link.shake_hands();
            link.wire.first->stuck = when == "pause" || when == "resume";
            if (link.wire.first->stuck) link.layer->transport().write(std::string(1 << 20, 'x'));
            if (when == "resume") link.wire.first->unstick();
            if (when == "data") link.server.writer().write("data");
            if (when == "eof") link.server.writer().close();
            co_await sleep(1s);
            EXPECT_EQ(log, "left destroyed") << when;
            co_await link.end();
        }
    });
}

/// A client that speaks first.
class Asking final : public Protocol {
  public:
    explicit Asking(std::string& answer) : answer_(answer) {}
    void connection_made(Transport& transport) override { transport.write("question\n"); }
    void data_received(std::span<const std::byte> data) override {
        answer_.append(reinterpret_cast<const char*>(data.data()), data.size());
    }

  private:
    std::string& answer_;
};

Coro<> answer(StreamReader reader, StreamWriter& writer) {
    const std::string question = co_await reader.readline();
    writer.write("answer to " + question);
}

TEST(TlsTransport, what_a_handshake_ends_with_goes_out_with_what_is_written_first) {
    testing::run([]() -> Coro<> {
        std::string text;
        Link link{Ref<stream::Protocol>(new Asking(text))};
        StreamWriter writer = link.server.writer();
        Task<> answering = create_task(answer(link.server.reader(), writer));
        co_await link.shake_hands();
        co_await answering;
        co_await sleep(1s);
        EXPECT_EQ(text, "answer to question\n");
        EXPECT_EQ(link.wire.first->writes, 2);   // hello; Finished and the question
        EXPECT_EQ(link.wire.second->writes, 2);  // the server's flight; tickets and the answer
        co_await link.end();
    });
}

TEST(TlsTransport, what_a_handshake_ends_with_waits_for_nobody_who_keeps_silent) {
    testing::run([]() -> Coro<> {
        Link link{Ref<stream::Protocol>(new Protocol)};
        co_await link.shake_hands();
        EXPECT_EQ(link.wire.first->writes, 2);
        const TimePoint before = get_running_loop().time();
        while (link.wire.second->writes < 2) co_await sleep(0s);
        EXPECT_EQ(get_running_loop().time(), before);
        co_await link.end();
    });
}

TEST(TlsTransport, ragged_ends_that_are_suppressed_end_the_connection_in_order) {
    testing::run([]() -> Coro<> {
        SSLContext tolerant = client_context();
        tolerant.suppress_ragged_eofs = true;
        auto wire = MemoryTransport::make_pair();
        Endpoint client(tolerant, false, wire.first);
        Endpoint server(server_context(), true, wire.second);
        server.start();
        client.start();
        co_await gather(client.handshake(), server.handshake());
        server.writer().write("all of it");
        co_await sleep(1s);
        server.layer->transport().abort();  // no goodbye
        const std::string text = co_await client.reader().read();
        EXPECT_EQ(text, "all of it");
        const auto closed = co_await as_outcome(client.writer().wait_closed());
        EXPECT_EQ(error_of(closed), "none");
        co_await sleep(1s);
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
