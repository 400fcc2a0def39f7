// SPDX-License-Identifier: MIT
//
// TLS echo server for the benchmarks: bench_tls_echo CERTIFICATE KEY PORT. ASYNCIO_BACKEND chooses
// io_uring or epoll. The session passes on what peek() shows, as bench_echo_server's does.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "harness.hpp"

namespace {

using asyncio::Coro;

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    for (;;) {
        const std::string_view data = co_await reader.peek();
        if (data.empty()) break;
        writer.write(data);
        reader.consume(data.size());
        co_await writer.drain();
    }
}

/// A client that goes away is no news here.
Coro<> session(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    try {
        co_await echo(reader, writer);
    } catch (const std::exception&) {
        writer.abort();
    }
}

Coro<> serve(std::string certificate, std::string key, std::uint16_t port) {
    auto context = asyncio::ssl::create_default_context(asyncio::ssl::Purpose::CLIENT_AUTH);
    context.load_cert_chain(certificate, key);
    const asyncio::ServerOptions options{.backlog = 4096, .ssl = &context};
    const asyncio::Server server =
        co_await asyncio::start_server(session, "127.0.0.1", port, options);
    co_await server.serve_forever();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: %s CERTIFICATE KEY PORT\n", argv[0]);
        return 2;
    }
    bench::allow_many_descriptors();
    const auto port = static_cast<std::uint16_t>(std::atoi(argv[3]));
    try {
        asyncio::run(serve(argv[1], argv[2], port));
    } catch (const asyncio::KeyboardInterrupt&) {
    }
}
