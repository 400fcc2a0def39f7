// SPDX-License-Identifier: MIT
//
// KernelConnection: TLS on a wire in memory, of which either end may have a kernel that encrypts.
#pragma once

#include <asyncio/tls/tls_fixture_test.hpp>

#include <string>

namespace asyncio::tls_tests {

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

inline bool kernel_sends(const Endpoint& end) {
    return end.layer->transport().ssl_object()->ktls_send();
}

inline std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
    return text;
}

inline Coro<> exchange(Endpoint& from, Endpoint& to, std::size_t size) {
    const std::string text = pattern(size);
    from.layer->transport().write(bytes_of(text));
    const std::string got = co_await to.reader().readexactly(size);
    EXPECT_TRUE(got == text);
}

inline Coro<> close_both(KernelConnection& both) {
    const StreamWriter client = both.client.writer();
    const StreamWriter server = both.server.writer();
    client.close();
    server.close();
    co_await gather(client.wait_closed(), server.wait_closed());
    EXPECT_TRUE(both.client.reader().at_eof());
    EXPECT_TRUE(both.server.reader().at_eof());
}

}  // namespace asyncio::tls_tests
