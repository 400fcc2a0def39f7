// SPDX-License-Identifier: MIT
//
// The kernel's TLS under the layer, by a kernel that is our own (FakeKernelTls), in virtual time.
// tests/tls_kernel_test.cpp has the system's, where it has one.
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

SSLContext offered(SSLContext context) {
    context.enable_ktls = true;
    return context;
}

/// A connection of which the ends named have such a kernel.
struct KernelConnection : Connection {
    explicit KernelConnection(bool client_has = true, bool server_has = true,
                              const SSLContext& client_ctx = offered(client_context()),
                              const SSLContext& server_ctx = offered(server_context()))
        : Connection(client_ctx, server_ctx) {
        if (client_has) client.below->add_kernel_tls();
        if (server_has) server.below->add_kernel_tls();
    }
    FakeKernelTls& of_client() { return *client.below->kernel; }
    FakeKernelTls& of_server() { return *server.below->kernel; }
};

bool kernel_sends(const Endpoint& end) { return end.layer->transport().ssl_object()->ktls_send(); }

std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
    return text;
}

Coro<> exchange(Endpoint& from, Endpoint& to, std::size_t size) {
    const std::string text = pattern(size);
    from.layer->transport().write(bytes_of(text));
    const std::string got = co_await to.reader().readexactly(size);
    EXPECT_TRUE(got == text);
}

Coro<> close_both(KernelConnection& both) {
    const StreamWriter client = both.client.writer();
    const StreamWriter server = both.server.writer();
    client.close();
    server.close();
    co_await gather(client.wait_closed(), server.wait_closed());
    EXPECT_TRUE(both.client.reader().at_eof());
    EXPECT_TRUE(both.server.reader().at_eof());
}

Coro<> uses_kernel(bool client_has, bool server_has) {
    KernelConnection both(client_has, server_has);
    co_await both.shake_hands();
    EXPECT_EQ(kernel_sends(both.client), client_has);
    EXPECT_EQ(kernel_sends(both.server), server_has);
    for (const std::size_t size : {1, 16384, 16385, 300'000}) {
        co_await exchange(both.client, both.server, size);
        co_await exchange(both.server, both.client, size);
    }
    co_await close_both(both);
    if (client_has) {
        EXPECT_EQ(both.of_client().types, "a");
    }
    if (server_has) {
        EXPECT_EQ(both.of_server().types, "hha");  // two tickets
    }
}

TEST(KernelTls, the_kernel_sends_for_either_end_or_both) {
    testing::run([]() -> Coro<> {
        co_await uses_kernel(true, true);
        co_await uses_kernel(true, false);
        co_await uses_kernel(false, true);
        co_await uses_kernel(false, false);
    });
}

TEST(KernelTls, every_cipher_of_TLS_1_3_that_kernels_know) {
    testing::run([]() -> Coro<> {
        for (const char* cipher :
             {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
            SSLContext client = offered(client_context());
            client.set_ciphersuites(cipher);
            KernelConnection both(true, true, client);
            co_await both.shake_hands();
            EXPECT_TRUE(kernel_sends(both.client) && kernel_sends(both.server)) << cipher;
            co_await exchange(both.client, both.server, 50'000);
            co_await exchange(both.server, both.client, 50'000);
            co_await close_both(both);
        }
    });
}

TEST(KernelTls, it_is_off_unless_asked_for) {
    testing::run([]() -> Coro<> {
        KernelConnection both(true, true, client_context(), server_context());
        co_await both.shake_hands();
        EXPECT_FALSE(kernel_sends(both.client));
        EXPECT_FALSE(kernel_sends(both.server));
        EXPECT_EQ(both.client.layer->transport().sending_transport(), nullptr);
        co_await exchange(both.client, both.server, 10);
        co_await close_both(both);
    });
}

TEST(KernelTls, where_the_kernel_cannot_all_goes_on_without_it) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        both.of_client().supported = false;
        both.of_server().accepts_keys = false;
        co_await both.shake_hands();
        EXPECT_FALSE(kernel_sends(both.client));
        EXPECT_FALSE(kernel_sends(both.server));
        co_await exchange(both.client, both.server, 100'000);
        co_await exchange(both.server, both.client, 100'000);
        co_await close_both(both);
        EXPECT_EQ(both.of_client().types + both.of_server().types, "");
    });
}

TEST(KernelTls, TLS_1_2_is_not_given_to_it) {
    testing::run([]() -> Coro<> {
        SSLContext client = offered(client_context());
        client.maximum_version = ssl::TLSVersion::TLSv1_2;
        KernelConnection both(true, true, client);
        co_await both.shake_hands();
        EXPECT_EQ(both.client.layer->transport().ssl_object()->version(), "TLSv1.2");
        EXPECT_FALSE(kernel_sends(both.client));
        EXPECT_FALSE(kernel_sends(both.server));
        co_await exchange(both.client, both.server, 100'000);
        co_await exchange(both.server, both.client, 100'000);
        co_await close_both(both);
    });
}

TEST(KernelTls, its_tickets_resume_sessions) {
    testing::run([]() -> Coro<> {
        const SSLContext client = offered(client_context());
        const SSLContext server = offered(server_context());
        for (const bool resumed : {false, true}) {
            KernelConnection both(true, true, client, server);
            co_await both.shake_hands();
            EXPECT_EQ(both.client.layer->transport().ssl_object()->session_reused(), resumed);
            EXPECT_TRUE(kernel_sends(both.client) && kernel_sends(both.server));
            co_await exchange(both.server, both.client, 10);
            co_await close_both(both);
        }
    });
}

TEST(KernelTls, what_is_written_goes_below_as_it_is_and_files_may_too) {
    testing::run([]() -> Coro<> {
        KernelConnection both;
        stream::Transport& client = both.client.layer->transport();
        both.start();
        EXPECT_EQ(client.sending_transport(), nullptr);
        co_await gather(both.client.handshake(), both.server.handshake());
        EXPECT_EQ(client.sending_transport(), both.client.below.get());
        const int writes = both.client.below->writes;
        const std::span<const std::byte> lines[] = {bytes_of("one\n"), bytes_of("two\n")};
        client.writelines(lines);
        EXPECT_EQ(both.client.below->writes, writes + 2);
        const std::string got = co_await both.server.reader().readexactly(8);
        EXPECT_EQ(got, "one\ntwo\n");
        co_await close_both(both);
        EXPECT_EQ(client.sending_transport(), nullptr);
    });
}

// --- room ---------------------------------------------------------------------------------------

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

// --- keys ---------------------------------------------------------------------------------------

/// Engines of which the client's keys may be with a kernel.
struct KernelEngines : Engines, RecordCarrier {
    KernelEngines() : kernel(*this) { client.offer_kernel(kernel); }

    bool holds_bytes() const noexcept override { return false; }
    void carry(std::string_view bytes) override { carried += bytes; }
    /// What both ends have to say until nothing moves.
    void shake_hands() {
        for (int i = 0; i < 10; ++i) {
            while (!client.handshake() && client.waits_for_room()) Engines::carry(client, server);
            Engines::carry(client, server);
            Engines::carry(server, client);
        }
    }

    std::string carried;
    FakeKernelTls kernel;
};

TEST(KernelTls, a_peer_that_asks_for_new_keys_gets_an_error) {
    KernelEngines both;
    both.shake_hands();
    ASSERT_TRUE(both.client.ktls_send());
    both.server.update_keys();
    try {
        Engines::deliver(both.server, both.client);
        ADD_FAILURE() << "new keys were taken";
    } catch (const ssl::SSLError& error) {
        EXPECT_THAT(error.what(), HasSubstr("the peer asks for new keys"));
    }
    EXPECT_EQ(both.kernel.types, "");  // and no answer in keys that nobody has
    EXPECT_THROW(both.client.update_keys(), std::logic_error);
}

TEST(KernelTls, who_has_said_goodbye_owes_no_new_keys) {
    KernelEngines both;
    both.shake_hands();
    ASSERT_TRUE(both.client.ktls_send());
    EXPECT_FALSE(both.client.shutdown());
    both.server.update_keys();
    both.server.write(bytes_of("on its way"));
    both.server.shutdown();
    const std::string bytes = both.server.output().take(both.server.output().size());
    const tls::Engine::Input lend(both.client, bytes_of(bytes));
    EXPECT_TRUE(both.client.shutdown());
    EXPECT_EQ(both.kernel.types, "a");
}

TEST(KernelTls, an_alert_goes_out_by_the_kernel) {
    KernelEngines both;
    both.shake_hands();
    ASSERT_TRUE(both.client.ktls_send());
    std::string garbage(40, 'g');
    garbage.replace(0, 5, std::string("\x17\x03\x03\x00\x23", 5));
    const tls::Engine::Input lend(both.client, bytes_of(garbage));
    std::byte memory[tls::Engine::kRecord];
    EXPECT_THROW(both.client.read(memory), ssl::SSLError);
    EXPECT_EQ(both.kernel.types, "a");
    const tls::Engine::Input heard(both.server, bytes_of(both.carried));
    try {
        both.server.read(memory);
        ADD_FAILURE() << "the alert did not arrive";
    } catch (const ssl::SSLError& error) {
        EXPECT_THAT(error.what(), HasSubstr("bad record mac"));
    }
}

}  // namespace
}  // namespace asyncio::tls_tests
