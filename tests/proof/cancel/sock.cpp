// SPDX-License-Identifier: MIT
//
// G7's operations on sockets that stay the caller's (sock_*, passed descriptors).
#include <asyncio/net/net_fixture_test.hpp>

#include <array>
#include <memory>
#include <string>
#include <tests/proof/cancel/operation.hpp>
#include <tests/proof/cancel/raw_peers.hpp>
#include <utility>
#include <vector>

#include <unistd.h>

namespace asyncio::proof {
namespace {

using net_tests::raw_receive;
using net_tests::raw_send;

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

Coro<Scene> sends_fds() {
    auto sockets = std::make_shared<Sockets>();
    co_return Scene{[sockets]() -> Coro<> {
                        std::vector<int> fds(1, sockets->ours.get());
                        (void)co_await send_fds(sockets->ours.get(), "x", std::move(fds));
                    },
                    {}};
}

}  // namespace

void add_sock_operations(Operations& all) {
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
}

}  // namespace asyncio::proof
