// SPDX-License-Identifier: MIT
//
// Echo over TLS: a server that says every line back, and a client for it. Ctrl-C ends the server.
//
//     openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30
//         -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem
//     ./dev example 32 serve cert.pem key.pem 8443    port 0 picks a free one
//     ./dev example 32 connect cert.pem 8443 "hello"
//     openssl s_client -connect localhost:8443 -CAfile cert.pem
#include <asyncio/asyncio.hpp>

#include <iostream>

using asyncio::Coro;
namespace ssl = asyncio::ssl;

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        writer.write(*line);
        co_await writer.drain();
    }
}

Coro<> serve(std::string certificate, std::string key, asyncio::Port port) {
    auto ctx = ssl::create_default_context(ssl::Purpose::CLIENT_AUTH);
    ctx.load_cert_chain(certificate, key);
    ctx.set_alpn_protocols({"echo"});
    auto server = co_await asyncio::start_server(echo, "127.0.0.1", port, {.ssl = &ctx});
    std::cout << "listening on " << server.sockets()[0].getsockname() << std::endl;
    co_await server.serve_forever();
}

Coro<> connect(std::string trusted, asyncio::Port port, std::string text) {
    auto ctx = ssl::create_default_context();
    ctx.load_verify_locations(trusted);
    ctx.set_alpn_protocols({"echo"});
    auto [reader, writer] = co_await asyncio::open_connection("localhost", port, {.ssl = &ctx});
    const std::string peer = writer.ssl()->getpeercert()->common_name;
    std::cout << writer.ssl()->version() << " with " << peer << std::endl;
    writer.write(text + "\n");
    const std::string answer = co_await reader.readline();
    std::cout << answer;
    writer.close();
    co_await writer.wait_closed();
}

Coro<> program(std::vector<std::string> arguments) {
    if (arguments.size() != 4 || (arguments[0] != "serve" && arguments[0] != "connect"))
        throw std::runtime_error("usage: serve CERT KEY PORT | connect CA PORT TEXT");
    if (arguments[0] == "serve")
        co_await serve(arguments[1], arguments[2], asyncio::Port(arguments[3]));
    else
        co_await connect(arguments[1], asyncio::Port(arguments[2]), arguments[3]);
}

int main(int argc, char** argv) { return asyncio::run_main(program({argv + 1, argv + argc})); }
