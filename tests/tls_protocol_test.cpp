// SPDX-License-Identifier: MIT
//
// Protocols over TLS over real sockets.
#include <asyncio/asyncio.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <memory>

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

namespace asyncio::tls_tests {
namespace {

using net_tests::echo;
using net_tests::port_of;

class Recorder : public Protocol {
  public:
    void connection_made(Transport& transport) override {
        ++made;
        transport_ = &transport;
        secure = transport.ssl_object() != nullptr;
    }
    void data_received(std::span<const std::byte> data) override { received += as_text(data); }
    bool eof_received() override {
        eof = true;
        return keep_open;
    }
    void connection_lost(std::exception_ptr) override { lost = true; }

    Transport* transport_ = nullptr;
    std::string received;
    int made = 0;
    bool secure = false;
    bool eof = false;
    bool keep_open = false;
    bool lost = false;
};

class Buffered : public BufferedProtocol {
  public:
    void connection_made(Transport& transport) override { transport_ = &transport; }
    std::span<std::byte> get_buffer(std::ptrdiff_t) override { return memory; }
    void buffer_updated(std::size_t count) override {
        transport_->write(std::span<const std::byte>(memory).first(count));
    }
    Transport* transport_ = nullptr;
    std::byte memory[7];
};

TEST(Tls, TLS_21_plain_and_buffered_protocols) {
    run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        Server server = co_await loop.create_server([] { return std::make_unique<Buffered>(); },
                                                    "127.0.0.1", 0, {.ssl = &ours});
        auto [transport, protocol] = co_await loop.create_connection(
            [] { return std::make_unique<Recorder>(); }, "127.0.0.1", port_of(server),
            {.ssl = &theirs, .server_hostname = "localhost"});
        EXPECT_EQ(protocol->made, 1);
        EXPECT_TRUE(protocol->secure);
        transport->write("a message longer than a buffer");
        const auto all = [&] { return protocol->received.size() == 30; };
        const bool came = co_await net_tests::until(all);
        EXPECT_TRUE(came);
        EXPECT_EQ(protocol->received, "a message longer than a buffer");
        // TLS-20: another protocol
        const Ref<Recorder> second(new Recorder());
        transport->set_protocol(second);
        transport->write("more");
        const auto more = [&] { return second->received == "more"; };
        const bool switched = co_await net_tests::until(more);
        EXPECT_TRUE(switched);
        EXPECT_EQ(transport->get_protocol(), second.get());
        transport->close();
        const auto gone = [&] { return second->lost; };
        const bool lost = co_await net_tests::until(gone);
        EXPECT_TRUE(lost);
        EXPECT_FALSE(protocol->lost);
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Tls, TLS_20_set_protocol_switches_the_protocol) {
    run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        Server server = co_await start_server(echo, "127.0.0.1", 0, {.ssl = &ours});
        auto [transport, protocol] = co_await loop.create_connection(
            [] { return std::make_unique<Recorder>(); }, "127.0.0.1", port_of(server),
            {.ssl = &theirs, .server_hostname = "localhost"});
        const Ref<Recorder> second(new Recorder());
        transport->set_protocol(second);
        transport->write("for the second");
        const auto came = [&] { return !second->received.empty(); };
        const bool there = co_await net_tests::until(came);
        EXPECT_TRUE(there);
        EXPECT_EQ(second->made, 0);
        EXPECT_TRUE(protocol->received.empty());
        transport->close();
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Tls, TLS_11_eof_received_cannot_keep_a_connection_half_open) {
    testing::LogLines lines;
    run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        const auto say_goodbye = [](StreamReader&, StreamWriter& writer) -> Coro<> {
            writer.close();
            co_return;
        };
        Server server = co_await start_server(say_goodbye, "127.0.0.1", 0, {.ssl = &ours});
        const Ref<Recorder> keeps(new Recorder());
        keeps->keep_open = true;
        auto [transport, protocol] =
            co_await loop.create_connection([&] { return keeps; }, "127.0.0.1", port_of(server),
                                            {.ssl = &theirs, .server_hostname = "localhost"});
        const auto gone = [&] { return keeps->lost; };
        const bool lost = co_await net_tests::until(gone);
        EXPECT_TRUE(lost);
        EXPECT_TRUE(keeps->eof);
        server.close();
        co_await server.wait_closed();
    });
    EXPECT_TRUE(lines.contains("returning true from eof_received() has no effect"));
}

/// Gives its transport another protocol when it may write again.
class Leaver final : public Recorder {
  public:
    void resume_writing() override { transport_->set_protocol(next); }
    const Ref<Recorder> next{new Recorder()};
};

TEST(Tls, SENDF_11_reading_goes_on_after_a_file_under_which_the_protocol_was_replaced) {
    run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        constexpr std::size_t kSize = 8 << 20;
        const auto handler = [](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            (void)co_await reader.readexactly(kSize);
            writer.write("answer");
            (void)co_await reader.read();
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0, {.ssl = &ours});
        auto [transport, leaver] = co_await loop.create_connection(
            [] { return std::make_unique<Leaver>(); }, "127.0.0.1", port_of(server),
            {.ssl = &theirs, .server_hostname = "localhost"});
        const os::Fd file(::memfd_create("asyncio", MFD_CLOEXEC));
        EXPECT_EQ(::ftruncate(file.get(), kSize), 0);
        const std::size_t sent = co_await loop.sendfile(*transport, file.get());
        EXPECT_EQ(sent, kSize);
        EXPECT_EQ(transport->get_protocol(), leaver->next.get());
        EXPECT_TRUE(transport->is_reading());
        const auto answered = [&] { return leaver->next->received == "answer"; };
        EXPECT_TRUE(co_await net_tests::until(answered));
        transport->close();
        const auto gone = [&] { return leaver->next->lost; };
        EXPECT_TRUE(co_await net_tests::until(gone));
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Tls, TLS_16_start_tls_of_protocols_does_not_connect_again) {
    run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        const auto handler = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            (void)co_await reader.readline();
            writer.write("go\n");
            co_await writer.start_tls(ours);
            writer.write("secret");
            (void)co_await reader.read();
        };
        Server server = co_await start_server(handler, "127.0.0.1", 0);
        auto [transport, first] = co_await loop.create_connection(
            [] { return std::make_unique<Recorder>(); }, "127.0.0.1", port_of(server));
        transport->write("STARTTLS\n");
        const auto answered = [&] { return first->received == "go\n"; };
        const bool ready = co_await net_tests::until(answered);
        EXPECT_TRUE(ready);
        const Ref<Recorder> second(new Recorder());
        const Ref<Transport> secure =
            co_await loop.start_tls(*transport, *second, theirs, {.server_hostname = "localhost"});
        const auto came = [&] { return second->received == "secret"; };
        const bool secret = co_await net_tests::until(came);
        EXPECT_TRUE(secret);
        EXPECT_EQ(second->made, 0);
        EXPECT_EQ(first->received, "go\n");
        EXPECT_FALSE(first->lost);
        secure->close();
        const auto gone = [&] { return second->lost; };
        const bool lost = co_await net_tests::until(gone);
        EXPECT_TRUE(lost);
        EXPECT_THROW((void)loop.start_tls(*transport, *second, theirs, {}), std::invalid_argument);
        server.close();
        co_await server.wait_closed();
    });
}

TEST(Tls, CONN_14_an_accepted_socket_becomes_the_server_of_a_tls_connection) {
    run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const SSLContext ours = server_context();
        const SSLContext theirs = client_context();
        auto [one, two] = net_tests::tcp_pair();
        auto accepting = loop.connect_accepted_socket([] { return std::make_unique<Buffered>(); },
                                                      two.release(), {.ssl = &ours});
        auto serving = create_task(std::move(accepting));
        auto [reader, writer] = co_await open_connection(
            {.sock = one.release(), .ssl = &theirs, .server_hostname = "localhost"});
        auto [transport, protocol] = co_await serving;
        writer.write("adopted");
        const std::string answer = co_await reader.readexactly(7);
        EXPECT_EQ(answer, "adopted");
        transport->close();
        const std::string end = co_await reader.read();
        EXPECT_EQ(end, "");
        co_await writer.wait_closed();
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
