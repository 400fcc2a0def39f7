// SPDX-License-Identifier: MIT
//
// TLS in a simulated world: the same layer, over streams that come in pieces, break and stand
// still. (What a handshake sends depends on random numbers of OpenSSL's, so runs are not the same
// to the byte.)
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/simulation.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <string>

#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

using testing::Simulation;

Coro<> echo_until_it_breaks(StreamReader& reader, StreamWriter& writer) {
    try {
        auto lines = reader.lines();
        while (auto line = co_await lines.next()) {
            writer.write(*line);
            co_await writer.drain();
        }
    } catch (const std::system_error&) {
        writer.abort();
    }
}

Coro<> ask_over_tls(const SSLContext& context, int& next) {
    auto [reader, writer] = co_await wait_for(
        open_connection("server", 443, {.ssl = &context, .server_hostname = "localhost"}), 20s);
    for (; next < 20; ++next) {
        const std::string line = std::string(static_cast<std::size_t>(next) * 500, 'x') + "\n";
        writer.write(line);
        const std::string answer = co_await wait_for(reader.readline(), 10s);
        if (answer.empty()) break;
        EXPECT_EQ(answer, line);
    }
    writer.close();
    co_await writer.wait_closed();
}

Coro<> tls_client(const SSLContext& context) {
    for (int next = 0; next < 20;) {
        Outcome<void> outcome = co_await as_outcome(ask_over_tls(context, next));
        if (outcome.cancelled()) outcome.value();
        co_await sleep(1s);
    }
    EXPECT_EQ(all_tasks().size(), 2U);
}

TEST(TlsSimulated, all_is_answered_whatever_the_network_does) {
    const SSLContext ours = server_context();
    const SSLContext theirs = client_context();
    const auto world = [&](Simulation& sim) -> Coro<> {
        auto& server = sim.host("server", [&]() -> Coro<> {
            // A handshake that breaks is reported; here it is expected.
            get_running_loop().set_exception_handler([](EventLoop&, const ExceptionContext&) {});
            Server listening = co_await start_server(echo_until_it_breaks, "", 443, {.ssl = &ours});
            co_await listening.serve_forever();
        });
        auto& client = sim.host("client", [&]() -> Coro<> { co_await tls_client(theirs); });
        co_await client.finished();
        server.stop();
        co_await server.finished();
    };
    for (const std::uint64_t seed : testing::seeds_to_try(20))
        EXPECT_NO_THROW(testing::simulate(seed, world)) << seed;
}

}  // namespace
}  // namespace asyncio::tls_tests
