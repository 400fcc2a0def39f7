// SPDX-License-Identifier: MIT
//
// Scenarios of TLS.
#include <asyncio/tls/certificates_test.hpp>
#include <asyncio/tls/context.hpp>

#include "scenarios.hpp"

namespace asyncio::proof {
namespace {

using namespace std::chrono_literals;
using ssl::SSLContext;

struct Certificates {
    std::string authority;
    tls_tests::Credentials server;

    Certificates() {
        const tls_tests::Authority made;
        authority = made.certificate();
        server = made.issue();
    }
};

const Certificates& certificates() {
    static const Certificates made;
    return made;
}

SSLContext client_context() {
    return ssl::create_default_context(ssl::Purpose::SERVER_AUTH,
                                       {.cadata = certificates().authority});
}

SSLContext server_context() {
    SSLContext context = ssl::create_default_context(ssl::Purpose::CLIENT_AUTH);
    context.load_cert_chain_data(certificates().server.certificate, certificates().server.key);
    return context;
}

Coro<> echo(StreamReader& reader, StreamWriter& writer) {
    const std::string data = co_await reader.readexactly(5);
    writer.write(data);
    co_await writer.drain();
}

Coro<> end(Server server) {
    server.close();
    server.abort_clients();
    co_await server.wait_closed();
}

std::uint16_t port_of(const Server& server) { return server.sockets()[0].getsockname().port(); }

Coro<> tls_echo() {
    const SSLContext ours = server_context();
    const SSLContext theirs = client_context();
    Server server = co_await start_server(echo, "127.0.0.1", 0, {.ssl = &ours});
    co_await with_cleanup(
        [&]() -> Coro<> {
            auto [reader, writer] = co_await open_connection(
                "127.0.0.1", port_of(server), {.ssl = &theirs, .server_hostname = "localhost"});
            writer.write("hello");
            const std::string answer = co_await reader.readexactly(5);
            expect(answer == "hello", "the echo is what was sent");
            writer.close();
            co_await writer.wait_closed();
        },
        [&]() -> Coro<> { co_await end(server); });
}

Coro<> tls_upgrade() {
    const SSLContext ours = server_context();
    const SSLContext theirs = client_context();
    auto serve = [&ours](StreamReader& reader, StreamWriter& writer) -> Coro<> {
        (void)co_await reader.readexactly(1);
        writer.write("+");
        co_await writer.start_tls(ours);
        co_await echo(reader, writer);
    };
    Server server = co_await start_server(serve, "127.0.0.1", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            auto [reader, writer] = co_await open_connection("127.0.0.1", port_of(server));
            writer.write("?");
            (void)co_await reader.readexactly(1);
            co_await writer.start_tls(theirs, {.server_hostname = "localhost"});
            writer.write("hello");
            const std::string answer = co_await reader.readexactly(5);
            expect(answer == "hello", "the echo is what was sent");
            writer.close();
            co_await writer.wait_closed();
        },
        [&]() -> Coro<> { co_await end(server); });
}

/// The other side takes what comes, and never answers.
Coro<> tls_handshake_limit() {
    const SSLContext theirs = client_context();
    auto ignore = [](StreamReader& reader, StreamWriter&) -> Coro<> {
        (void)co_await reader.read();
    };
    Server server = co_await start_server(ignore, "127.0.0.1", 0);
    co_await with_cleanup(
        [&]() -> Coro<> {
            bool ended = false;
            try {
                (void)co_await open_connection(
                    "127.0.0.1", port_of(server),
                    {.ssl = &theirs, .server_hostname = "localhost", .ssl_handshake_timeout = 2ms});
            } catch (const std::system_error& error) {
                ended = error.code() == std::errc::connection_aborted;
                if (!ended) throw;
            }
            expect(ended, "a handshake without an answer ends");
        },
        [&]() -> Coro<> { co_await end(server); });
}

}  // namespace

void prepare_scenarios() { (void)certificates(); }

std::span<const Scenario> tls_scenarios() {
    static constexpr Scenario list[] = {
        {"tls_echo", on_loop<tls_echo>},
        {"tls_upgrade", on_loop<tls_upgrade>},
        {"tls_handshake_limit", on_loop<tls_handshake_limit>},
    };
    return list;
}

}  // namespace asyncio::proof
