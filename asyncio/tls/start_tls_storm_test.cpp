// SPDX-License-Identifier: MIT
//
// A storm of cancels over start_tls, on either side: who is cancelled has a closed connection, the
// other an end or an error, and nothing of either is left.
#include <asyncio/tls/tls_fixture_test.hpp>

#include <random>

#include <gtest/gtest.h>

namespace asyncio::tls_tests {
namespace {

Coro<> upgrade(StreamWriter& writer, const SSLContext& context, bool server_side) {
    StartTlsOptions options;
    options.server_side = server_side;
    if (!server_side) options.server_hostname = "localhost";
    co_await writer.start_tls(context, options);
}

TEST(StartTlsStorm, cancelled_anywhere_it_leaves_nothing) {
    testing::run([]() -> Coro<> {
        const int rounds = scaled(5'000, 500);  // a handshake is 2 ms of arithmetic
        std::mt19937 random(31);
        const SSLContext ours = client_context();
        const SSLContext theirs = server_context();
        testing::LogLines unclosed_writers;
        int completed = 0;
        int cancelled = 0;
        for (int i = 0; i < rounds; ++i) {
            auto wire = MemoryTransport::make_pair();
            {
                const Ref<stream::StreamCore> client_core(new stream::StreamCore(65536));
                const Ref<stream::StreamCore> server_core(new stream::StreamCore(65536));
                wire.first->start(client_core);
                wire.second->start(server_core);
                StreamWriter client(client_core);
                StreamWriter server(server_core);
                auto one = create_task(upgrade(client, ours, false));
                auto two = create_task(upgrade(server, theirs, true));
                for (unsigned n = random() % 8; n > 0; --n) co_await sleep(0s);
                if (i % 2 == 1) std::swap(one, two);
                one.cancel();
                const auto first = co_await as_outcome(one);
                EXPECT_TRUE(first || first.cancelled());
                if (!first) (i % 2 == 0 ? client : server).abort();  // it may not have begun
                const auto second = co_await as_outcome(two);
                EXPECT_FALSE(second.cancelled());
                EXPECT_TRUE(second || !first);
                ++(first ? completed : cancelled);
                client.abort();
                server.abort();
                co_await sleep(0s);
                co_await sleep(0s);
            }
            EXPECT_EQ(wire.first->references() + wire.second->references(), 2u) << i;
            if (::testing::Test::HasFailure()) break;
        }
        EXPECT_GE(cancelled, rounds / 40);
        EXPECT_GE(completed, rounds / 40);
        EXPECT_EQ(all_tasks().size(), 1u);
    });
}

}  // namespace
}  // namespace asyncio::tls_tests
