// SPDX-License-Identifier: MIT
//
// A TLS exchange that is cut, reset, corrupted or silenced at every byte never ends cleanly, never
// hangs, and leaks nothing (that, address sanitizer and the counts of references tell).
#include <asyncio/task/wait_for.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

constexpr std::string_view kRequest = "GET the answer\n";
constexpr std::string_view kAnswer = "the answer is 42\n";

/// What a client or server came to.
struct End {
    bool clean = false;  // everything read, and the peer's goodbye
    std::string text;
    std::string error;
};

Coro<> client_side(Endpoint& end, End& result) {
    co_await end.handshake();
    const StreamWriter writer = end.writer();
    const StreamReader reader = end.reader();
    writer.write(kRequest);
    result.text = co_await reader.read();
    result.clean = true;
    writer.close();
    co_await writer.wait_closed();
}

Coro<> server_side(Endpoint& end, End& result) {
    co_await end.handshake();
    const StreamWriter writer = end.writer();
    const StreamReader reader = end.reader();
    result.text = co_await reader.readline();
    if (result.text != kRequest) throw std::runtime_error("truncated request");
    writer.write(kAnswer);
    writer.close();
    co_await writer.wait_closed();
    result.clean = true;
}

/// A read knows no time limit of its own: an attacker who is silent meets this one.
constexpr auto kPatience = 100s;

Coro<> note(Coro<> side, End& result) {
    Outcome<void> outcome = co_await as_outcome(wait_for(std::move(side), kPatience));
    if (outcome) co_return;
    result.error = describe(outcome.error());
}

struct Exchange {
    End client;
    End server;
    std::size_t client_sent = 0;
    std::size_t server_sent = 0;
    Duration took{};
    std::uint32_t leaked = 0;
};

struct Contexts {
    SSLContext client = client_context();
    SSLContext server = server_context();
};

Coro<> exchange(const Contexts& contexts, Attack on_client, Attack on_server, Exchange& result) {
    auto wire = MemoryTransport::make_pair();
    wire.first->attack = on_client;
    wire.second->attack = on_server;
    const TimePoint begin = get_running_loop().time();
    {
        Endpoint client(contexts.client, false, wire.first);
        Endpoint server(contexts.server, true, wire.second);
        server.start();
        client.start();
        co_await gather(note(client_side(client, result.client), result.client),
                        note(server_side(server, result.server), result.server));
        result.client_sent = wire.first->sent;
        result.server_sent = wire.second->sent;
        client.layer->transport().abort();
        server.layer->transport().abort();
    }
    co_await sleep(1s);
    result.took = get_running_loop().time() - begin;
    result.leaked = wire.first->references() - 1 + wire.second->references() - 1;
}

constexpr int kShards = 6;  // tests that share the bytes: each has to end within a minute

class EveryByte
    : public ::testing::TestWithParam<std::tuple<Attack::Kind, bool, ssl::TLSVersion, int>> {};

TEST_P(EveryByte, TLS_19_an_exchange_ends_with_an_error_wherever_it_is_attacked) {
    testing::run([param = GetParam()]() -> Coro<> {
        const Attack::Kind kind = std::get<0>(param);
        const bool client_attacked = std::get<1>(param);
        const ssl::TLSVersion version = std::get<2>(param);
        const auto first = static_cast<std::size_t>(std::get<3>(param));
        Contexts contexts;
        contexts.client.maximum_version = version;
        // Without resumption, so that all exchanges have the same length (but for signatures).
        Exchange whole;
        co_await exchange(contexts, {}, {}, whole);
        EXPECT_TRUE(whole.client.clean) << whole.client.error;
        EXPECT_TRUE(whole.server.clean) << whole.server.error;
        EXPECT_EQ(whole.client.text, kAnswer);
        EXPECT_EQ(whole.leaked, 0u);
        const std::size_t total = client_attacked ? whole.client_sent : whole.server_sent;
        // A signature may be some bytes shorter than the one before.
        constexpr std::size_t kSlack = 16;
        for (std::size_t at = first; at + kSlack < total; at += kShards) {
            contexts.client = client_context();  // a new cache: no session is resumed
            contexts.client.maximum_version = version;
            Exchange attacked;
            const Attack attack{.kind = kind, .at = at};
            Attack on_client, on_server;
            (client_attacked ? on_client : on_server) = attack;
            co_await exchange(contexts, on_client, on_server, attacked);
            const End& victim = client_attacked ? attacked.server : attacked.client;
            // Who has said goodbye itself, and has what it wanted, need not hear the peer's.
            const bool only_goodbye_missing = client_attacked && victim.text == kRequest;
            // A corrupt byte may be one that means nothing (a record's legacy version, RFC 8446,
            // 5.1): then nothing is lost.
            const bool unharmed = kind == Attack::Kind::corrupt && victim.text == kAnswer;
            const bool may_be_clean = only_goodbye_missing || unharmed;
            EXPECT_TRUE(may_be_clean || !victim.clean) << "at byte " << at;
            EXPECT_TRUE(may_be_clean || victim.text.empty()) << "at byte " << at;
            EXPECT_TRUE(victim.clean || !victim.error.empty()) << "at byte " << at;
            EXPECT_LT(attacked.took, 4 * kPatience) << "at byte " << at;
            EXPECT_EQ(attacked.leaked, 0u) << "at byte " << at;
            if (::testing::Test::HasFailure()) co_return;
        }
    });
}

std::string name_of(const ::testing::TestParamInfo<EveryByte::ParamType>& info) {
    static constexpr const char* kNames[] = {"none", "cut", "reset", "corrupt", "silence"};
    return std::string(kNames[static_cast<int>(std::get<0>(info.param))]) +
           (std::get<1>(info.param) ? "_of_the_client" : "_of_the_server") +
           (std::get<2>(info.param) == ssl::TLSVersion::TLSv1_2 ? "_12_" : "_13_") +
           std::to_string(std::get<3>(info.param));
}

using enum Attack::Kind;
INSTANTIATE_TEST_SUITE_P(
    Attacks, EveryByte,
    ::testing::Combine(::testing::Values(cut, reset, corrupt, silence), ::testing::Bool(),
                       ::testing::Values(ssl::TLSVersion::TLSv1_2, ssl::TLSVersion::TLSv1_3),
                       ::testing::Range(0, kShards)),
    name_of);

}  // namespace
}  // namespace asyncio::tls_tests
