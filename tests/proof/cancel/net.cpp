// SPDX-License-Identifier: MIT
//
// G7's operations of the rooms stream and net, against raw sockets that answer after a while. What
// a peer sent is read in full, by the operation or by the check after it.
#include <asyncio/net/net_fixture_test.hpp>

#include <algorithm>
#include <tests/proof/cancel/operation.hpp>
#include <utility>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace asyncio::proof {
namespace {

using net_tests::Fd;
using net_tests::Peer;
using net_tests::raw_receive;
using net_tests::raw_send;
using net_tests::RawListener;

constexpr Duration kSoon = 300us;

/// Bytes that tell where they belong.
std::string numbered(std::size_t size) {
    std::string text;
    for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + (i % 10 == 9 ? "\n" : " ");
    text.resize(size - 1);
    return text + "\n";
}

std::pair<Fd, Fd> unix_pair(int type) {
    int fds[2] = {-1, -1};
    require(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0, "socketpair");
    return {Fd(fds[0]), Fd(fds[1])};
}

// --- StreamReader -------------------------------------------------------------------------------

/// A connection whose peer sends some text in two parts.
struct Incoming {
    Incoming() : peer(256) {
        raw_send(peer.raw, std::string_view(text).substr(0, 100));
        get_running_loop().call_later(kSoon, [this] {
            raw_send(peer.raw, std::string_view(text).substr(100));
            ::shutdown(peer.raw.get(), SHUT_WR);
        });
    }
    Peer peer;
    const std::string text = numbered(2000);
    std::string got;
};

/// What is read by `read`, which appends to `got`, and by the check, is the text.
template <class Read>
CoroFunction<Scene> reading(Read read) {
    return [read]() -> Coro<Scene> {
        auto in = std::make_shared<Incoming>();
        co_return Scene{[in, read]() -> Coro<> { co_await read(*in); },
                        [in]() -> Coro<> {
                            const std::string rest = co_await wait_for(in->peer.reader.read(), 5s);
                            in->got += rest;
                            require(in->got == in->text, "bytes were lost or doubled");
                            in->peer.writer.close();
                            co_await in->peer.writer.wait_closed();
                        }};
    };
}

Coro<> read_some(Incoming& in) {
    for (int i = 0; i < 4; ++i) {
        const std::string part = co_await in.peer.reader.read(50);
        in.got += part;
    }
}
Coro<> read_all(Incoming& in) {
    const std::string part = co_await in.peer.reader.read();
    in.got += part;
}
Coro<> read_line(Incoming& in) {
    for (int i = 0; i < 5; ++i) {
        const std::string part = co_await in.peer.reader.readline();
        in.got += part;
    }
}
Coro<> read_exactly(Incoming& in) {
    const std::string part = co_await in.peer.reader.readexactly(1500);
    in.got += part;
}
Coro<> read_until(Incoming& in) {
    for (int i = 0; i < 60; ++i) {
        const std::string part = co_await in.peer.reader.readuntil(" ");
        in.got += part;
    }
}
Coro<> read_into(Incoming& in) {
    std::array<std::byte, 64> memory;
    for (int i = 0; i < 4; ++i) {
        const std::size_t count = co_await in.peer.reader.read_into(memory);
        in.got.append(reinterpret_cast<const char*>(memory.data()), count);
    }
}
Coro<> read_lines(Incoming& in) {
    auto lines = in.peer.reader.lines();
    while (auto line = co_await lines.next()) in.got += *line;
}

// --- StreamWriter -------------------------------------------------------------------------------

/// A connection whose peer begins to read after a while.
struct Outgoing {
    Outgoing() : peer(small_buffers(), 256) { peer.writer.set_write_buffer_limits(2000, 500); }
    static std::pair<Fd, Fd> small_buffers() {
        auto sockets = net_tests::tcp_pair();
        os::set_option(sockets.first.get(), os::SocketOption::send_buffer, 4096);
        os::set_option(sockets.second.get(), os::SocketOption::receive_buffer, 4096);
        return sockets;
    }
    Peer peer;
    const std::string text = numbered(60'000);
    std::string got;
};

void drain_soon(std::shared_ptr<Outgoing> out) {
    repeat([out] {
        out->got += raw_receive(out->peer.raw, 20'000);
        return out->got.size() == out->text.size();
    });
}

CoroFunction<> all_arrived(std::shared_ptr<Outgoing> out) {
    return [out]() -> Coro<> {
        out->peer.writer.close();
        auto there = [out] { return out->got.size() >= out->text.size(); };
        const bool in_time = co_await net_tests::until(there);
        require(in_time && out->got == out->text, "bytes written were lost or doubled");
        co_await out->peer.writer.wait_closed();
    };
}

Coro<Scene> drain() {
    auto out = std::make_shared<Outgoing>();
    out->peer.writer.write(out->text);
    drain_soon(out);
    co_return Scene{[out]() -> Coro<> { co_await out->peer.writer.drain(); }, all_arrived(out)};
}

Coro<Scene> wait_closed() {
    auto out = std::make_shared<Outgoing>();
    out->peer.writer.write(out->text);
    drain_soon(out);
    co_return Scene{[out]() -> Coro<> {
                        out->peer.writer.close();
                        co_await out->peer.writer.wait_closed();
                    },
                    all_arrived(out)};
}

// --- connecting and serving ---------------------------------------------------------------------

/// A listener; the check looks that what was connected there is closed at our end.
std::shared_ptr<RawListener> listener() { return std::make_shared<RawListener>(64); }

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

// --- sock_* -------------------------------------------------------------------------------------

struct Sockets {
    explicit Sockets(int type = SOCK_STREAM) {
        auto both = unix_pair(type);
        ours = std::move(both.first);
        theirs = std::move(both.second);
    }
    Fd ours;
    Fd theirs;
    std::string got;
};

/// "hello" comes; the operation or the check gets it.
template <class Receive>
CoroFunction<Scene> receiving(Receive receive, int type = SOCK_STREAM) {
    return [receive, type]() -> Coro<Scene> {
        auto sockets = std::make_shared<Sockets>(type);
        get_running_loop().call_later(kSoon, [sockets] { raw_send(sockets->theirs, "hello"); });
        co_return Scene{[sockets, receive]() -> Coro<> { co_await receive(*sockets); },
                        [sockets]() -> Coro<> {
                            auto there = [sockets] {
                                sockets->got += raw_receive(sockets->ours, 100);
                                return sockets->got.size() >= 5;
                            };
                            const bool in_time = co_await net_tests::until(there);
                            require(in_time && sockets->got == "hello", "bytes were lost");
                        }};
    };
}

Coro<> sock_recv(Sockets& sockets) {
    const std::string data = co_await get_running_loop().sock_recv(sockets.ours.get(), 100);
    sockets.got += data;
}
Coro<> sock_recv_into(Sockets& sockets) {
    std::array<std::byte, 100> memory;
    const std::size_t n = co_await get_running_loop().sock_recv_into(sockets.ours.get(), memory);
    sockets.got.append(reinterpret_cast<const char*>(memory.data()), n);
}
Coro<> sock_recvfrom(Sockets& sockets) {
    const auto got = co_await get_running_loop().sock_recvfrom(sockets.ours.get(), 100);
    sockets.got += got.first;
}
Coro<> sock_recvfrom_into(Sockets& sockets) {
    std::array<std::byte, 100> memory;
    const auto got = co_await get_running_loop().sock_recvfrom_into(sockets.ours.get(), memory);
    sockets.got.append(reinterpret_cast<const char*>(memory.data()), got.first);
}
Coro<> receive_fds(Sockets& sockets) {
    const auto got = co_await recv_fds(sockets.ours.get(), 100, 4);
    sockets.got += got.data;
}

Coro<Scene> sock_sendall() {
    auto sockets = std::make_shared<Sockets>();
    os::set_option(sockets->ours.get(), os::SocketOption::send_buffer, 4096);
    auto text = std::make_shared<std::string>(numbered(50'000));
    repeat([sockets, text] {
        sockets->got += raw_receive(sockets->theirs, 20'000);
        return sockets->got.size() == text->size();
    });
    co_return Scene{[sockets, text]() -> Coro<> {
                        co_await get_running_loop().sock_sendall(sockets->ours.get(),
                                                                 std::string_view(*text));
                    },
                    [sockets, text]() -> Coro<> {
                        sockets->got += raw_receive(sockets->theirs, 100'000);
                        require(text->starts_with(sockets->got), "what was sent is no prefix");
                        co_return;
                    }};
}

Coro<Scene> sock_sendto() {
    auto sockets = std::make_shared<std::pair<Fd, Fd>>(
        Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)),
        Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
    os::bind(sockets->second.get(), net_tests::loopback(0));
    SocketAddress to;
    os::local_address(sockets->second.get(), to);
    co_return Scene{[sockets, to]() -> Coro<> {
                        (void)co_await get_running_loop().sock_sendto(
                            sockets->first.get(), std::string_view("hello"), to);
                    },
                    {}};
}

Coro<Scene> sock_connect() {
    auto there = listener();
    auto client = std::make_shared<Fd>(os::stream_socket(AF_INET));
    co_return Scene{[there, client]() -> Coro<> {
                        co_await get_running_loop().sock_connect(client->get(), there->address);
                    },
                    {}};
}
Coro<Scene> sock_connect_by_name() {
    auto there = listener();
    auto client = std::make_shared<Fd>(os::stream_socket(AF_INET));
    co_return Scene{[there, client]() -> Coro<> {
                        co_await get_running_loop().sock_connect(client->get(), "127.0.0.1",
                                                                 there->address.port());
                    },
                    {}};
}

Coro<Scene> sock_accept() {
    auto there = listener();
    auto client = std::make_shared<Fd>();
    auto accepted = std::make_shared<int>(0);
    get_running_loop().call_later(
        kSoon, [there, client] { *client = net_tests::raw_connect(there->address.port()); });
    co_return Scene{[there, accepted]() -> Coro<> {
                        const auto got = co_await get_running_loop().sock_accept(there->fd.get());
                        *accepted += got.first ? 1 : 0;
                    },
                    [there, accepted]() -> Coro<> {
                        auto here = [there, accepted] {
                            *accepted += there->accept() ? 1 : 0;
                            return *accepted == 1;
                        };
                        const bool in_time = co_await net_tests::until(here);
                        require(in_time, "a connection was lost");
                    }};
}

Fd file_of(std::string_view text) {
    std::string path = "/tmp/asyncio-proof-XXXXXX";
    Fd fd(::mkostemp(path.data(), O_CLOEXEC));
    ::unlink(path.c_str());
    require(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()),
            "write");
    ::lseek(fd.get(), 0, SEEK_SET);
    return fd;
}

Coro<Scene> sock_sendfile() {
    auto sockets = std::make_shared<Sockets>();
    os::set_option(sockets->ours.get(), os::SocketOption::send_buffer, 4096);
    auto file = std::make_shared<Fd>(file_of(numbered(50'000)));
    repeat([sockets] {
        sockets->got += raw_receive(sockets->theirs, 20'000);
        return sockets->got.size() == 50'000;
    });
    co_return Scene{[sockets, file]() -> Coro<> {
                        (void)co_await get_running_loop().sock_sendfile(sockets->ours.get(),
                                                                        file->get());
                    },
                    [sockets, file]() -> Coro<> {
                        for (std::string part = raw_receive(sockets->theirs, 100'000);
                             !part.empty(); part = raw_receive(sockets->theirs, 100'000))
                            sockets->got += part;
                        const auto at = static_cast<std::size_t>(::lseek(file->get(), 0, SEEK_CUR));
                        require(sockets->got.size() == at, "the position is not what was sent");
                        co_return;
                    }};
}

Coro<Scene> sendfile() {
    auto out = std::make_shared<Outgoing>();
    auto file = std::make_shared<Fd>(file_of(out->text));
    repeat([out] {
        out->got += raw_receive(out->peer.raw, 20'000);
        return out->got.size() == out->text.size();
    });
    co_return Scene{
        [out, file]() -> Coro<> {
            (void)co_await get_running_loop().sendfile(*out->peer.transport, file->get());
        },
        [out, file]() -> Coro<> {
            const auto at = static_cast<std::size_t>(::lseek(file->get(), 0, SEEK_CUR));
            auto there = [out, at] { return out->got.size() >= at; };
            const bool in_time = co_await net_tests::until(there);
            require(in_time && out->got.size() == at, "the position is not what was sent");
            out->peer.writer.abort();
        }};
}

Coro<Scene> sends_fds() {
    auto sockets = std::make_shared<Sockets>();
    co_return Scene{[sockets]() -> Coro<> {
                        std::vector<int> fds(1, sockets->ours.get());
                        (void)co_await send_fds(sockets->ours.get(), "x", std::move(fds));
                    },
                    {}};
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
    all.push_back({"StreamReader.read(n)", reading(read_some)});
    all.push_back({"StreamReader.read()", reading(read_all)});
    all.push_back({"StreamReader.readline", reading(read_line)});
    all.push_back({"StreamReader.readexactly", reading(read_exactly)});
    all.push_back({"StreamReader.readuntil", reading(read_until)});
    all.push_back({"StreamReader.read_into", reading(read_into)});
    all.push_back({"StreamReader.lines", reading(read_lines)});
    all.push_back({"StreamWriter.drain", drain});
    all.push_back({"StreamWriter.wait_closed", wait_closed});
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
    all.push_back({"sock_recv", receiving(sock_recv)});
    all.push_back({"sock_recv_into", receiving(sock_recv_into)});
    all.push_back({"sock_recvfrom", receiving(sock_recvfrom, SOCK_DGRAM)});
    all.push_back({"sock_recvfrom_into", receiving(sock_recvfrom_into, SOCK_DGRAM)});
    all.push_back({"recv_fds", receiving(receive_fds)});
    all.push_back({"send_fds", sends_fds});
    all.push_back({"sock_sendall", sock_sendall});
    all.push_back({"sock_sendto", sock_sendto});
    all.push_back({"sock_connect", sock_connect});
    all.push_back({"sock_connect by host", sock_connect_by_name});
    all.push_back({"sock_accept", sock_accept});
    all.push_back({"sock_sendfile", sock_sendfile});
    all.push_back({"sendfile", sendfile});
    all.push_back({"connect_read_pipe", pipe_end<false>});
    all.push_back({"connect_write_pipe", pipe_end<true>});
    all.push_back(simple("open_datagram", opens_datagram));
    all.push_back(simple("open_datagram by name", opens_datagram_by_name));
    all.push_back(simple("create_datagram_endpoint", creates_datagram_endpoint));
    all.push_back({"DatagramEndpoint.recvfrom", recvfrom});
    all.push_back({"DatagramEndpoint.sendto", sendto});
}

}  // namespace asyncio::proof
