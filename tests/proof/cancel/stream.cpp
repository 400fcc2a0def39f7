// SPDX-License-Identifier: MIT
//
// G7's operations of streams, against a raw socket that answers after a while. What a peer sent is
// read in full, by the operation or by the check after it.
#include <asyncio/net/net_fixture_test.hpp>

#include <array>
#include <memory>
#include <string>
#include <tests/proof/cancel/operation.hpp>
#include <tests/proof/cancel/raw_peers.hpp>
#include <utility>

#include <unistd.h>

namespace asyncio::proof {
namespace {

using net_tests::Peer;
using net_tests::raw_receive;
using net_tests::raw_send;

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

}  // namespace

void add_stream_operations(Operations& all) {
    all.push_back({"StreamReader.read(n)", reading(read_some)});
    all.push_back({"StreamReader.read()", reading(read_all)});
    all.push_back({"StreamReader.readline", reading(read_line)});
    all.push_back({"StreamReader.readexactly", reading(read_exactly)});
    all.push_back({"StreamReader.readuntil", reading(read_until)});
    all.push_back({"StreamReader.read_into", reading(read_into)});
    all.push_back({"StreamReader.lines", reading(read_lines)});
    all.push_back({"StreamWriter.drain", drain});
    all.push_back({"StreamWriter.wait_closed", wait_closed});
    all.push_back({"sendfile", sendfile});
}

}  // namespace asyncio::proof
