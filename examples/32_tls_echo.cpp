// SPDX-License-Identifier: MIT
//
// Echo over TLS: a server that says every line back, and a client for it.
//
//     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30
//         -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//     build/dev/example_32_tls_echo serve cert.pem key.pem 8443    port 0 picks a free one
//     build/dev/example_32_tls_echo connect cert.pem 8443 "hello"
//     openssl s_client -connect localhost:8443 -CAfile cert.pem
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using asyncio::Coro;

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        writer.write(*line);
        co_await writer.drain();
    }
}

Coro<> serve(std::string certificate, std::string key, std::uint16_t port) {
    auto ctx = asyncio::ssl::create_default_context(asyncio::ssl::Purpose::CLIENT_AUTH);
    ctx.load_cert_chain(certificate, key);
    ctx.set_alpn_protocols({"echo"});
    asyncio::Server server = co_await asyncio::start_server(echo, "127.0.0.1", port, {.ssl = &ctx});
    std::printf("listening on %s\n", server.sockets()[0].getsockname().to_string().c_str());
    std::fflush(stdout);
    co_await server.serve_forever();
}

Coro<> connect(std::string trusted, std::uint16_t port, std::string text) {
    auto ctx = asyncio::ssl::create_default_context();
    ctx.load_verify_locations(trusted);
    ctx.set_alpn_protocols({"echo"});
    auto [reader, writer] = co_await asyncio::open_connection("localhost", port, {.ssl = &ctx});
    const std::string version(writer.ssl()->version());
    const std::string peer = writer.ssl()->getpeercert()->common_name;
    std::printf("%s with %s\n", version.c_str(), peer.c_str());
    writer.write(text + "\n");
    const std::string answer = co_await reader.readline();
    std::printf("%s", answer.c_str());
    writer.close();
    co_await writer.wait_closed();
}

std::uint16_t port_of(const char* text) { return static_cast<std::uint16_t>(std::atoi(text)); }

}  // namespace

int main(int argc, char** argv) try {
    const std::string_view verb = argc > 1 ? argv[1] : "";
    if (verb == "serve" && argc == 5) {
        asyncio::run(serve(argv[2], argv[3], port_of(argv[4])));
    } else if (verb == "connect" && argc == 5) {
        asyncio::run(connect(argv[2], port_of(argv[3]), argv[4]));
    } else {
        std::fprintf(stderr, "usage: %s serve CERT KEY PORT | connect CA PORT TEXT\n", argv[0]);
        return 2;
    }
} catch (const asyncio::KeyboardInterrupt&) {
    std::puts("bye");
} catch (const std::exception& error) {
    std::printf("failed: %s\n", error.what());
    return 1;
}
