// SPDX-License-Identifier: MIT
//
// The kernel's TLS under the layer, by a kernel that is our own (FakeKernelTls), in virtual time.
// tests/tls_kernel_test.cpp has the system's, where it has one.
#include <asyncio/tls/kernel_connection_fixture_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

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
