// SPDX-License-Identifier: MIT
#include <asyncio/tls/tls_fixture_test.hpp>

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

namespace asyncio::tls_tests {
namespace {

using ::testing::HasSubstr;

template <class E, class F>
std::string message_of(F&& f) {
    try {
        f();
    } catch (const E& error) {
        return error.what();
    } catch (const std::exception& error) {
        return std::string("another error: ") + error.what();
    }
    return "no error";
}

TEST(Engine, two_of_them_shake_hands_and_talk) {
    Engines both;
    EXPECT_FALSE(both.client.handshake_complete());
    both.shake_hands();
    EXPECT_TRUE(both.client.handshake_complete());
    EXPECT_TRUE(both.server.handshake_complete());
    both.client.write(bytes_of("hello"));
    EXPECT_EQ(Engines::deliver(both.client, both.server), "hello");
    both.server.write(bytes_of("world"));
    EXPECT_EQ(Engines::deliver(both.server, both.client), "world");
}

TEST(Engine, what_is_not_read_is_kept_in_order) {
    Engines both;
    both.shake_hands();
    (void)Engines::deliver(both.server, both.client);
    const std::string first(40000, 'a');
    both.client.write(bytes_of(first));
    both.client.write(bytes_of("end"));
    const std::string wire = both.client.output().take(both.client.output().size());
    std::string text;
    std::byte memory[tls::Engine::kRecord];
    for (std::size_t at = 0; at < wire.size(); at += 1000) {  // one record read a piece at most
        const std::string piece = wire.substr(at, 1000);
        const tls::Engine::Input lend(both.server, bytes_of(piece));
        const std::size_t count = both.server.read(memory);
        text.append(reinterpret_cast<const char*>(memory), count);
    }
    while (const std::size_t count = both.server.read(memory))
        text.append(reinterpret_cast<const char*>(memory), count);
    EXPECT_EQ(text, first + "end");
    EXPECT_FALSE(both.server.has_input());
}

TEST(Engine, TLS_04_a_certificate_for_another_name_is_refused) {
    Engines both(client_context(), server_context({.alternative_names = "DNS:other.example"}));
    const std::string message =
        message_of<ssl::SSLCertVerificationError>([&] { both.shake_hands(); });
    EXPECT_THAT(message, HasSubstr("hostname mismatch"));
    EXPECT_THAT(message, HasSubstr("localhost"));
    EXPECT_FALSE(both.client.output().empty());  // the alert
    EXPECT_THAT(message_of<ssl::SSLError>([&] { Engines::carry(both.client, both.server); }),
                HasSubstr("alert"));
}

TEST(Engine, TLS_04_addresses_are_checked_as_such) {
    Engines good(client_context(), server_context(), "127.0.0.1");
    good.shake_hands();
    EXPECT_TRUE(good.client.handshake_complete());
    Engines six(client_context(), server_context(), "::1");
    six.shake_hands();
    EXPECT_TRUE(six.client.handshake_complete());
    Engines bad(client_context(), server_context(), "127.0.0.2");
    EXPECT_THAT(message_of<ssl::SSLCertVerificationError>([&] { bad.shake_hands(); }),
                HasSubstr("IP address mismatch"));
}

TEST(Engine, TLS_03_an_untrusted_or_expired_certificate_is_refused) {
    Engines untrusted(ssl::create_default_context(), server_context());
    EXPECT_THAT(message_of<ssl::SSLCertVerificationError>([&] { untrusted.shake_hands(); }),
                HasSubstr("unable to get local issuer certificate"));
    Engines expired(client_context(), server_context({.valid_from = -7200, .valid_until = -3600}));
    EXPECT_THAT(message_of<ssl::SSLCertVerificationError>([&] { expired.shake_hands(); }),
                HasSubstr("certificate has expired"));
}

TEST(Engine, checking_is_switched_off_only_by_both_settings) {
    SSLContext client = ssl::create_default_context();
    client.verify_mode = ssl::CERT_NONE;
    EXPECT_THROW(tls::Engine(client, false, "localhost"), std::invalid_argument);
    client.check_hostname = false;
    Engines both(client, server_context(), "");
    both.shake_hands();
    EXPECT_TRUE(both.client.handshake_complete());
    EXPECT_THROW(tls::Engine(client_context(), false, ""), std::invalid_argument);
    EXPECT_THROW(tls::Engine(client_context(), false, std::string("a\0b", 3)),
                 std::invalid_argument);
}

TEST(Engine, the_end_of_the_input_is_an_error_and_close_notify_is_none) {
    Engines both;
    both.shake_hands();
    both.client.write(bytes_of("tail"));
    both.client.shutdown();
    EXPECT_EQ(Engines::deliver(both.client, both.server), "tail");
    EXPECT_TRUE(both.server.peer_closed());
    both.server.shutdown();
    (void)Engines::deliver(both.server, both.client);
    EXPECT_TRUE(both.client.peer_closed());

    Engines cut;
    cut.shake_hands();
    (void)Engines::deliver(cut.server, cut.client);
    cut.client.end_input();
    std::byte memory[100];
    EXPECT_THAT(message_of<ssl::SSLEOFError>([&] { (void)cut.client.read(memory); }),
                HasSubstr("unexpected eof while reading"));
    EXPECT_FALSE(cut.client.peer_closed());
}

TEST(Engine, ragged_ends_are_suppressed_only_if_asked_for) {
    SSLContext client = client_context();
    client.suppress_ragged_eofs = true;
    Engines both(client, server_context());
    both.shake_hands();
    both.client.end_input();
    std::byte memory[100];
    EXPECT_EQ(both.client.read(memory), 0u);
    EXPECT_TRUE(both.client.peer_closed());
}

TEST(Engine, versions_are_limited_to_1_2_and_above) {
    SSLContext client = client_context();
    client.maximum_version = ssl::TLSVersion::TLSv1_2;
    Engines old(client, server_context());
    old.shake_hands();
    EXPECT_EQ(old.client.version(), "TLSv1.2");
    EXPECT_THAT(old.client.cipher().name, HasSubstr("ECDHE"));
    EXPECT_THROW(old.client.update_keys(), std::logic_error);

    client.minimum_version = ssl::TLSVersion::TLSv1;
    client.maximum_version = ssl::TLSVersion::TLSv1_1;
    EXPECT_NE(message_of<ssl::SSLError>([&] {
                  Engines ancient(client, server_context());
                  ancient.shake_hands();
              }),
              "no error");
}

TEST(Engine, TLS_13_tells_what_was_agreed_on) {
    SSLContext client = client_context();
    SSLContext server = server_context();
    client.set_alpn_protocols({"http/1.1", "h2"});
    server.set_alpn_protocols({"h2", "http/1.1"});
    Engines both(client, server);
    EXPECT_EQ(both.client.getpeercert(), std::nullopt);
    both.shake_hands();
    EXPECT_EQ(both.client.version(), "TLSv1.3");
    EXPECT_EQ(both.client.cipher().protocol, "TLSv1.3");
    EXPECT_EQ(both.client.cipher().secret_bits, 256);
    EXPECT_EQ(both.client.selected_alpn_protocol(), "h2");
    EXPECT_EQ(both.server.selected_alpn_protocol(), "h2");
    EXPECT_EQ(both.server.server_hostname(), "localhost");
    EXPECT_TRUE(both.server.server_side());
    const std::optional<ssl::Certificate> shown = both.client.getpeercert();
    ASSERT_TRUE(shown.has_value());
    EXPECT_EQ(shown->common_name, "localhost");
    EXPECT_EQ(shown->subject, "CN=localhost");
    EXPECT_EQ(shown->issuer, "CN=test authority");
    EXPECT_THAT(shown->subject_alt_names,
                ::testing::ElementsAre("DNS:localhost", "IP:127.0.0.1", "IP:0:0:0:0:0:0:0:1"));
    EXPECT_EQ(shown->fingerprint.size(), 64u);
    EXPECT_LT(shown->not_before, std::chrono::system_clock::now());
    EXPECT_GT(shown->not_after, std::chrono::system_clock::now());
    EXPECT_FALSE(shown->der.empty());
    EXPECT_EQ(both.server.getpeercert(), std::nullopt);
}

TEST(Engine, no_protocol_in_common_goes_on_without_one) {
    SSLContext client = client_context();
    SSLContext server = server_context();
    client.set_alpn_protocols({"spdy"});
    server.set_alpn_protocols({"h2"});
    Engines both(client, server);
    both.shake_hands();
    EXPECT_EQ(both.client.selected_alpn_protocol(), "");
    EXPECT_THROW(client.set_alpn_protocols({""}), std::invalid_argument);
}

TEST(Engine, a_server_asks_for_certificates_when_told_to) {
    SSLContext server = server_context();
    server.verify_mode = ssl::CERT_REQUIRED;
    server.load_verify_locations({.cadata = std::string_view(authority().certificate())});
    SSLContext client = client_context();
    EXPECT_THAT(message_of<ssl::SSLError>([&] {
                    Engines without(client, server);
                    without.shake_hands();
                }),
                HasSubstr("peer did not return a certificate"));
    const Credentials own = authority().issue({.common_name = "alice", .alternative_names = ""});
    client.load_cert_chain_data(own.certificate, own.key);
    Engines with(client, server);
    with.shake_hands();
    ASSERT_TRUE(with.server.handshake_complete());
    EXPECT_EQ(with.server.getpeercert()->common_name, "alice");
    client.verify_mode = ssl::CERT_OPTIONAL;
    server.verify_mode = ssl::CERT_OPTIONAL;
    Engines optional(client_context(), server);
    optional.shake_hands();
    EXPECT_TRUE(optional.server.handshake_complete());
}

TEST(Engine, the_server_chooses_a_context_by_name) {
    SSLContext server = server_context();
    const SSLContext other = server_context({.alternative_names = "DNS:other.example"});
    std::string asked;
    server.set_sni_callback([&](std::string_view name) -> std::optional<SSLContext> {
        asked = name;
        if (name == "refused") throw std::runtime_error("no such name");
        if (name == "other.example") return other;
        return std::nullopt;
    });
    Engines both(client_context(), server, "other.example");
    both.shake_hands();
    EXPECT_TRUE(both.client.handshake_complete());
    EXPECT_EQ(asked, "other.example");
    Engines same(client_context(), server);
    same.shake_hands();
    EXPECT_TRUE(same.client.handshake_complete());
    Engines refused(client_context(), server, "refused");
    EXPECT_EQ(message_of<std::runtime_error>([&] { refused.shake_hands(); }), "no such name");
}

TEST(Engine, sessions_are_resumed_once_each) {
    const SSLContext client = client_context();
    const SSLContext server = server_context();
    const auto connect = [&](const SSLContext& ours) {
        Engines both(ours, server);
        both.shake_hands();
        both.server.write(bytes_of("x"));
        EXPECT_EQ(Engines::deliver(both.server, both.client), "x");  // with it came the tickets
        both.client.shutdown();
        EXPECT_EQ(both.client.session_reused(), both.server.session_reused());
        return both.client.session_reused();
    };
    EXPECT_FALSE(connect(client));
    EXPECT_EQ(client.cached_sessions(), 1u);
    EXPECT_TRUE(connect(client));
    EXPECT_TRUE(connect(client));
    SSLContext careless = client;  // the same cache
    careless.check_hostname = false;
    EXPECT_FALSE(connect(careless));
    careless.maximum_version = ssl::TLSVersion::TLSv1_2;
    EXPECT_FALSE(connect(careless));  // what is there is of TLS 1.3
    EXPECT_TRUE(connect(careless));
    EXPECT_TRUE(connect(careless));  // 1.2 sessions serve again
}

TEST(Engine, keys_can_be_renewed_but_not_for_ever) {
    Engines both;
    both.shake_hands();
    for (int i = 0; i < 3; ++i) {
        both.client.update_keys();
        both.client.write(bytes_of("after"));
        EXPECT_EQ(Engines::deliver(both.client, both.server), "after");
        both.server.write(bytes_of("answer"));
        EXPECT_EQ(Engines::deliver(both.server, both.client), "answer");
    }
    const auto flood = [&] {
        for (int i = 0; i < 100'000; ++i) {
            both.client.update_keys();
            (void)Engines::deliver(both.client, both.server);
        }
    };
    EXPECT_THAT(message_of<ssl::SSLError>(flood), HasSubstr("too many key updates"));
    EXPECT_LE(both.server.output().size(), 100'000u);
}

TEST(Context, certificates_come_from_files_too) {
    std::string folder = "/tmp/asyncio-tls-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    const Credentials own = authority().issue({.password = "secret"});
    const auto put = [&](const char* name, const std::string& text) {
        std::ofstream(folder + "/" + name) << text;
        return folder + "/" + name;
    };
    const std::string certificate = put("cert.pem", own.certificate);
    const std::string key = put("key.pem", own.key);
    const std::string trusted = put("ca.pem", authority().certificate());
    const std::string both_in_one = put("both.pem", own.certificate + own.key);

    SSLContext server = ssl::create_default_context(ssl::Purpose::CLIENT_AUTH);
    EXPECT_NE(message_of<ssl::SSLError>([&] { server.load_cert_chain(certificate, key); }),
              "no error");
    EXPECT_NE(message_of<ssl::SSLError>([&] { server.load_cert_chain(certificate, key, "wrong"); }),
              "no error");
    server.load_cert_chain(certificate, key, "secret");
    server.load_cert_chain(both_in_one, "", "secret");
    SSLContext client;
    client.load_verify_locations(trusted);
    Engines both(client, server);
    both.shake_hands();
    EXPECT_TRUE(both.client.handshake_complete());

    const std::string missing = folder + "/missing";
    EXPECT_THAT(message_of<std::system_error>([&] { server.load_cert_chain(missing); }),
                HasSubstr("missing: No such file or directory"));
    EXPECT_THAT(message_of<std::system_error>([&] { client.load_verify_locations(missing); }),
                HasSubstr("missing: No such file or directory"));
    EXPECT_THAT(message_of<ssl::SSLError>([&] { server.load_cert_chain(key); }),
                HasSubstr("no start line"));
    EXPECT_THROW(client.load_verify_locations(ssl::VerifyLocations()), std::invalid_argument);
    EXPECT_NE(message_of<ssl::SSLError>([&] { client.load_verify_locations({.cadata = "x"}); }),
              "no error");
    const Credentials other = authority().issue();
    EXPECT_THAT(
        message_of<ssl::SSLError>([&] { server.load_cert_chain_data(own.certificate, other.key); }),
        HasSubstr("key values mismatch"));
    EXPECT_THROW(server.set_ciphers("no such cipher"), ssl::SSLError);
    for (const std::string& path : {certificate, key, trusted, both_in_one}) ::unlink(path.c_str());
    ::rmdir(folder.c_str());
}

}  // namespace
}  // namespace asyncio::tls_tests
