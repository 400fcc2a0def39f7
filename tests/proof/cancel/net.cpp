// SPDX-License-Identifier: MIT
//
// G7's operations of connections: who opens and serves them, pipes, datagrams.
#include <asyncio/net/net_fixture_test.hpp>

#include <memory>
#include <tests/proof/cancel/operation.hpp>
#include <tests/proof/cancel/raw_peers.hpp>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace asyncio::proof {
namespace {

using net_tests::raw_receive;
using net_tests::raw_send;

// --- connecting and serving ---------------------------------------------------------------------

/// What was connected to `there` is closed at our end.
CoroFunction<> nobody_is_connected(std::shared_ptr<RawListener> there) {
    return [there]() -> Coro<> {
        for (Fd fd = there->accept(); fd; fd = there->accept()) {
            auto ended = [&fd] { return net_tests::raw_ended(fd); };
            const bool in_time = co_await net_tests::until(ended);
            require(in_time, "a connection was left open");
        }
    };
}

Coro<> connect_and_close(std::string host, std::uint16_t port) {
    auto [reader, writer] = co_await open_connection(host, port);
    writer.close();
    co_await writer.wait_closed();
}

Coro<Scene> connection() {
    auto there = listener();
    co_return Scene{
        [there]() -> Coro<> { co_await connect_and_close("127.0.0.1", there->address.port()); },
        nobody_is_connected(there)};
}
/// By a name, which a thread looks up.
Coro<Scene> connection_by_name() {
    auto there = listener();
    co_return Scene{
        [there]() -> Coro<> { co_await connect_and_close("localhost", there->address.port()); },
        nobody_is_connected(there)};
}

std::string abstract_name() {
    return std::string(1, '\0') + "asyncio-proof-" + std::to_string(::getpid());
}

Coro<Scene> unix_connection() {
    auto there = std::make_shared<Fd>(os::stream_socket(AF_UNIX));
    os::bind(there->get(), SocketAddress::unix_path(abstract_name()));
    os::listen(there->get(), 16);
    co_return Scene{[there]() -> Coro<> {
                        auto [reader, writer] = co_await open_unix_connection(abstract_name());
                        writer.close();
                        co_await writer.wait_closed();
                    },
                    {}};
}

auto make_protocol() {
    return [] { return std::make_unique<Protocol>(); };
}

Coro<Scene> protocol_connection() {
    auto there = listener();
    co_return Scene{[there]() -> Coro<> {
                        auto [transport, protocol] = co_await get_running_loop().create_connection(
                            make_protocol(), "127.0.0.1", there->address.port());
                        transport->abort();
                    },
                    nobody_is_connected(there)};
}

Coro<> close_server(Server server) {
    server.close();
    co_await server.wait_closed();
}

Coro<> starts_server() {
    Server server = co_await start_server(net_tests::echo, "localhost", 0);
    co_await close_server(std::move(server));
}
Coro<> starts_unix_server() {
    Server server = co_await start_unix_server(net_tests::echo, abstract_name());
    co_await close_server(std::move(server));
}
Coro<> creates_server() {
    Server server = co_await get_running_loop().create_server(make_protocol(), "127.0.0.1", 0);
    co_await close_server(std::move(server));
}

/// A server with a client, who goes after a while.
struct Served {
    std::optional<Server> server;
    Fd client;
};

Coro<std::shared_ptr<Served>> serve() {
    auto served = std::make_shared<Served>();
    served->server.emplace(co_await start_server(net_tests::echo, "127.0.0.1", 0));
    served->client = net_tests::raw_connect(net_tests::port_of(*served->server));
    co_await sleep(0s);
    co_await sleep(0s);
    co_return served;
}

CoroFunction<> server_ends(std::shared_ptr<Served> served) {
    return [served]() -> Coro<> {
        served->client.reset();
        served->server->close();
        co_await wait_for(served->server->wait_closed(), 5s);
        require(!served->server->is_serving(), "a closed server serves");
    };
}

Coro<Scene> serve_forever() {
    auto served = co_await serve();
    get_running_loop().call_later(kSoon, [served] {
        served->client.reset();  // cancelled, it waits for its clients
        served->server->close();
    });
    auto serves = [served]() -> Coro<> {
        const Outcome<void> outcome = co_await as_outcome(served->server->serve_forever());
        if (current_task().cancelling() > 0) outcome.value();  // else the close cancelled it
    };
    co_return Scene{serves, server_ends(served)};
}

Coro<Scene> server_wait_closed() {
    auto served = co_await serve();
    get_running_loop().call_later(kSoon, [served] { served->client.reset(); });
    co_return Scene{[served]() -> Coro<> {
                        served->server->close();
                        co_await served->server->wait_closed();
                    },
                    server_ends(served)};
}

Coro<> asks() {
    Server server = co_await start_server(net_tests::echo, "127.0.0.1", 0);
    const std::string answer = co_await net_tests::ask(net_tests::port_of(server), "hello");
    require(answer == "hello", "a wrong answer");
    co_await close_server(std::move(server));
}

// --- pipes, datagrams ---------------------------------------------------------------------------

template <bool kWriting>
Coro<Scene> pipe_end() {
    int ends[2] = {-1, -1};
    require(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
    auto other = std::make_shared<Fd>(ends[kWriting ? 0 : 1]);
    auto ours = std::make_shared<Fd>(ends[kWriting ? 1 : 0]);
    co_return Scene{[other, ours]() -> Coro<> {
                        auto& loop = get_running_loop();
                        auto connecting =
                            kWriting ? loop.connect_write_pipe(make_protocol(), ours->get())
                                     : loop.connect_read_pipe(make_protocol(), ours->get());
                        auto [transport, protocol] = co_await std::move(connecting);
                        (void)ours->release();  // it is the transport's now
                        transport->abort();
                    },
                    {}};
}

Coro<> opens_datagram() {
    const DatagramEndpoint endpoint = co_await open_datagram({.local = {"127.0.0.1", 0}});
    endpoint.close();
    co_await endpoint.wait_closed();
}
Coro<> opens_datagram_by_name() {
    const DatagramEndpoint endpoint = co_await open_datagram({.remote = {"localhost", 9}});
    endpoint.close();
    co_await endpoint.wait_closed();
}
struct Deaf final : DatagramProtocol {
    void datagram_received(std::span<const std::byte>, const SocketAddress&) override {}
};
Coro<> creates_datagram_endpoint() {
    auto factory = [] { return std::make_unique<Deaf>(); };
    auto [transport, protocol] =
        co_await get_running_loop().create_datagram_endpoint(factory, {.local = {"127.0.0.1", 0}});
    transport->abort();
}

struct Datagrams {
    std::optional<DatagramEndpoint> endpoint;
    Fd theirs;
};

Coro<std::shared_ptr<Datagrams>> datagrams() {
    auto both = std::make_shared<Datagrams>();
    auto sockets = unix_pair(SOCK_DGRAM);
    both->theirs = std::move(sockets.second);
    DatagramOptions options;
    options.sock = sockets.first.release();
    both->endpoint.emplace(co_await open_datagram(options));
    co_return both;
}

Coro<Scene> recvfrom() {
    auto both = co_await datagrams();
    auto got = std::make_shared<int>(0);
    get_running_loop().call_later(kSoon, [both] {
        raw_send(both->theirs, "one");
        raw_send(both->theirs, "two");
    });
    co_return Scene{[both, got]() -> Coro<> {
                        auto first = co_await both->endpoint->recvfrom();
                        *got += first.first == "one" ? 1 : 100;
                    },
                    [both, got]() -> Coro<> {
                        while (*got < 2) {
                            auto next = co_await wait_for(both->endpoint->recvfrom(), 2s);
                            *got += next.first == (*got == 0 ? "one" : "two") ? 1 : 100;
                        }
                        require(*got == 2, "a datagram was lost or out of order");
                        both->endpoint->close();
                        co_await both->endpoint->wait_closed();
                    }};
}

Coro<Scene> sendto() {
    auto both = co_await datagrams();
    both->endpoint->transport().set_write_buffer_limits(20, 5);
    auto got = std::make_shared<int>(0);
    repeat([both, got] {
        while (!raw_receive(both->theirs, 100).empty()) ++*got;
        return *got == 1000;
    });
    auto begun = std::make_shared<int>(0);
    co_return Scene{[both, begun]() -> Coro<> {
                        for (int i = 0; i < 30; ++i) {
                            ++*begun;
                            co_await both->endpoint->sendto("0123456789");
                        }
                    },
                    [both, begun, got]() -> Coro<> {
                        auto there = [begun, got] { return *got >= *begun; };
                        const bool in_time = co_await net_tests::until(there);
                        require(in_time && *got == *begun, "a datagram was lost or doubled");
                        *got = 1000;
                        both->endpoint->close();
                        co_await both->endpoint->wait_closed();
                    }};
}

}  // namespace

void add_net_operations(Operations& all) {
    all.push_back({"open_connection", connection});
    all.push_back({"open_connection by name", connection_by_name});
    all.push_back({"open_unix_connection", unix_connection});
    all.push_back({"create_connection", protocol_connection});
    all.push_back(simple("start_server", starts_server));
    all.push_back(simple("start_unix_server", starts_unix_server));
    all.push_back(simple("create_server", creates_server));
    all.push_back({"Server.serve_forever", serve_forever});
    all.push_back({"Server.wait_closed", server_wait_closed});
    all.push_back(simple("a whole conversation", asks));
    all.push_back({"connect_read_pipe", pipe_end<false>});
    all.push_back({"connect_write_pipe", pipe_end<true>});
    all.push_back(simple("open_datagram", opens_datagram));
    all.push_back(simple("open_datagram by name", opens_datagram_by_name));
    all.push_back(simple("create_datagram_endpoint", creates_datagram_endpoint));
    all.push_back({"DatagramEndpoint.recvfrom", recvfrom});
    all.push_back({"DatagramEndpoint.sendto", sendto});
}

}  // namespace asyncio::proof
