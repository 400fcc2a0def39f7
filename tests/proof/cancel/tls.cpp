// SPDX-License-Identifier: MIT
//
// G7's operations over TLS: handshakes from both sides, reading, draining and closing, over sockets
// of the loopback.
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <memory>
#include <tests/proof/cancel/operation.hpp>

namespace asyncio::proof {
namespace {

using tls_tests::SSLContext;

const SSLContext& client() {
    static const SSLContext context = tls_tests::client_context();
    return context;
}
const SSLContext& server() {
    static const SSLContext context = tls_tests::server_context();
    return context;
}

/// An echo server over TLS. Its clients may go as they like.
struct SecureServer {
    std::optional<Server> listening;
    std::optional<StreamReader> reader;
    std::optional<StreamWriter> writer;

    std::uint16_t port() const { return net_tests::port_of(*listening); }
};

Coro<> echo_until_it_breaks(StreamReader& reader, StreamWriter& writer) {
    try {
        co_await net_tests::echo(reader, writer);
    } catch (const std::system_error&) {
        writer.abort();
    }
}

Coro<std::shared_ptr<SecureServer>> serve(bool secure) {
    auto all = std::make_shared<SecureServer>();
    if (secure)
        all->listening.emplace(
            co_await start_server(echo_until_it_breaks, "127.0.0.1", 0, {.ssl = &server()}));
    else
        all->listening.emplace(co_await start_server(echo_until_it_breaks, "127.0.0.1", 0));
    co_return all;
}

Coro<std::shared_ptr<SecureServer>> serve_and_connect() {
    auto all = co_await serve(true);
    auto streams = co_await open_connection("127.0.0.1", all->port(),
                                            {.ssl = &client(), .server_hostname = "localhost"});
    all->reader.emplace(std::move(streams.first));
    all->writer.emplace(std::move(streams.second));
    co_return all;
}

CoroFunction<> all_end(std::shared_ptr<SecureServer> all) {
    return [all]() -> Coro<> {
        if (all->writer) all->writer->abort();
        all->listening->close();
        all->listening->abort_clients();
        co_await wait_for(all->listening->wait_closed(), 5s);
    };
}

Coro<Scene> connection() {
    auto all = co_await serve(true);
    co_return Scene{[all]() -> Coro<> {
                        auto [reader, writer] = co_await open_connection(
                            "127.0.0.1", all->port(),
                            {.ssl = &client(), .server_hostname = "localhost"});
                        writer.close();
                        co_await writer.wait_closed();
                    },
                    all_end(all)};
}

/// A handler that makes TLS of its connection; the client is the operation's.
Coro<> upgrade(StreamReader& reader, StreamWriter& writer) {
    try {
        const std::string line = co_await reader.readline();
        if (line != "STARTTLS\n") co_return;
        writer.write("go\n");
        co_await writer.start_tls(server());
        co_await net_tests::echo(reader, writer);
    } catch (const std::system_error&) {
        writer.abort();
    }
}

Coro<Scene> start_tls() {
    auto all = std::make_shared<SecureServer>();
    all->listening.emplace(co_await start_server(upgrade, "127.0.0.1", 0));
    co_return Scene{[all]() -> Coro<> {
                        auto [reader, writer] = co_await open_connection("127.0.0.1", all->port());
                        writer.write("STARTTLS\n");
                        const std::string line = co_await reader.readline();
                        require(line == "go\n", "a wrong answer");
                        co_await writer.start_tls(client(), {.server_hostname = "localhost"});
                        writer.write("over TLS");
                        const std::string echoed = co_await reader.readexactly(8);
                        require(echoed == "over TLS", "a wrong answer");
                        writer.close();
                        co_await writer.wait_closed();
                    },
                    all_end(all)};
}

Coro<Scene> read() {
    auto all = co_await serve_and_connect();
    auto got = std::make_shared<std::string>();
    get_running_loop().call_later(300us, [all] {
        if (!all->writer->is_closing()) all->writer->write("one two three four\n");
    });
    co_return Scene{[all, got]() -> Coro<> {
                        for (int i = 0; i < 3; ++i) {
                            const std::string word = co_await all->reader->readuntil(" ");
                            *got += word;
                        }
                    },
                    [all, got]() -> Coro<> {
                        const std::string rest = co_await wait_for(all->reader->readline(), 5s);
                        *got += rest;
                        require(*got == "one two three four\n", "bytes were lost or doubled");
                        const CoroFunction<> end = all_end(all);
                        co_await end();
                    }};
}

Coro<Scene> drain() {
    auto all = co_await serve_and_connect();
    all->writer->set_write_buffer_limits(2000, 500);
    const auto text = std::make_shared<std::string>(400'000, 'x');
    all->writer->write(*text);
    auto got = std::make_shared<std::string>();
    auto receive = [all, got, text]() -> Coro<> {
        co_await sleep(300us);
        const std::string part = co_await all->reader->readexactly(text->size());
        *got += part;
    };
    Task<> receiving = create_task(receive);
    co_return Scene{[all]() -> Coro<> { co_await all->writer->drain(); },
                    [all, got, text, receiving]() -> Coro<> {
                        co_await wait_for(receiving, 10s);
                        require(*got == *text, "bytes were lost or doubled");
                        const CoroFunction<> end = all_end(all);
                        co_await end();
                    }};
}

Coro<Scene> wait_closed() {
    auto all = co_await serve_and_connect();
    all->writer->write("bye");
    co_return Scene{[all]() -> Coro<> {
                        all->writer->close();
                        co_await all->writer->wait_closed();
                    },
                    all_end(all)};
}

}  // namespace

void add_tls_operations(Operations& all) {
    all.push_back({"open_connection over TLS", connection});
    all.push_back({"StreamWriter.start_tls", start_tls});
    all.push_back({"StreamReader.readuntil over TLS", read});
    all.push_back({"StreamWriter.drain over TLS", drain});
    all.push_back({"StreamWriter.wait_closed over TLS", wait_closed});
}

}  // namespace asyncio::proof
