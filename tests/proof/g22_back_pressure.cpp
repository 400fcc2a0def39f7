// SPDX-License-Identifier: MIT
//
// G22: a peer that never reads stops a writer that writes as it should (D6, D7, E14). Each way to
// write tries 1 GiB, in pieces of 64 KiB, and awaits what it has to await; it must come to a stand,
// and memory must have grown by no more than what it may keep and a mebibyte. The same of reading:
// who does not read makes a writing peer stand.
//
//   --only NAME   one way
#include <asyncio/asyncio.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <tests/proof/figure.hpp>
#include <tests/proof/machine.hpp>

#include <fcntl.h>
#include <sys/stat.h>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kPiece = 65'536;
constexpr std::size_t kHighWater = 65'536;
constexpr std::size_t kMargin = 1u << 20;
constexpr std::size_t kGibibyte = 1u << 30;
std::size_t all = kGibibyte;  // that is tried to write

const std::string& piece() {
    static const std::string text(kPiece, 'x');
    return text;
}

/// What a writer has written.
struct Progress {
    std::size_t written = 0;
};
using Written = std::shared_ptr<Progress>;

Coro<> pour(StreamWriter& writer, Written progress) {
    while (progress->written < all) {
        writer.write(piece());
        co_await writer.drain();
        progress->written += kPiece;
    }
}

Coro<> pour_lines(StreamWriter& writer, Written progress) {
    const std::vector<std::string> lines(64, std::string(1024, 'x'));
    while (progress->written < all) {
        writer.writelines(lines);
        co_await writer.drain();
        progress->written += kPiece;
    }
}

/// What a loop has once, whatever its connections do: io_uring's receive buffers.
Coro<> use_loop() {
    Server server = co_await start_server(net_tests::echo, "127.0.0.1", 0);
    auto [reader, writer] = co_await open_connection("127.0.0.1", net_tests::port_of(server));
    const std::string much(512u << 10, 'x');
    for (int i = 0; i < 16; ++i) {
        writer.write(much);
        const std::string back = co_await reader.readexactly(much.size());
        if (back != much) std::abort();
    }
    writer.abort();
    co_await net_tests::end(server);
}

/// Run `writing` until it has stood still for a while; how much memory that took.
template <class Writing>
Coro<std::size_t> stands(Writing writing, Written progress) {
    co_await use_loop();
    const std::size_t before = proof::resident_bytes();
    std::size_t most = before;
    const auto task = create_task(writing());
    std::size_t last = 0;
    for (int quiet = 0; quiet < 20 && !task.done();) {
        co_await sleep(10ms);
        most = std::max(most, proof::resident_bytes());
        quiet = progress->written == last ? quiet + 1 : 0;
        last = progress->written;
    }
    const bool stood = !task.done();
    task.cancel();
    (void)co_await as_outcome(task);
    co_return stood ? most - before : kGibibyte;
}

struct Way {
    const char* name;
    Coro<std::size_t> (*grows)();
};

Coro<std::size_t> stream_to(std::pair<net_tests::Fd, net_tests::Fd> sockets, bool lines) {
    net_tests::Peer peer(std::move(sockets), 65'536);
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> {
        if (lines)
            co_await pour_lines(peer.writer, progress);
        else
            co_await pour(peer.writer, progress);
    };
    const std::size_t grown = co_await stands(write, progress);
    peer.writer.abort();
    co_return grown;
}

std::pair<net_tests::Fd, net_tests::Fd> unix_pair(int type) {
    int fds[2] = {-1, -1};
    if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) std::abort();
    return {net_tests::Fd(fds[0]), net_tests::Fd(fds[1])};
}

Coro<std::size_t> over_tcp() {
    auto sockets = net_tests::tcp_pair();
    co_return co_await stream_to(std::move(sockets), false);
}
Coro<std::size_t> over_tcp_in_lines() {
    auto sockets = net_tests::tcp_pair();
    co_return co_await stream_to(std::move(sockets), true);
}
Coro<std::size_t> over_unix() {
    auto sockets = unix_pair(SOCK_STREAM);
    co_return co_await stream_to(std::move(sockets), false);
}

Coro<> never_reads(StreamReader&, StreamWriter& writer) {
    (void)co_await as_outcome(writer.wait_closed());
}

/// A server over TLS whose handler never reads: its reader's limit is what it may keep, too.
Coro<std::size_t> over_tls() {
    static const ssl::SSLContext server_context = tls_tests::server_context();
    static const ssl::SSLContext client_context = tls_tests::client_context();
    Server server = co_await start_server(never_reads, "127.0.0.1", 0, {.ssl = &server_context});
    auto [reader, writer] =
        co_await open_connection("127.0.0.1", net_tests::port_of(server),
                                 {.ssl = &client_context, .server_hostname = "localhost"});
    auto progress = std::make_shared<Progress>();
    StreamWriter& out = writer;
    const auto write = [&out, progress]() -> Coro<> { co_await pour(out, progress); };
    const std::size_t grown = co_await stands(write, progress);
    writer.abort();
    co_await net_tests::end(server);
    co_return grown;
}

/// Both ends are ours: what the reader keeps counts, too.
Coro<std::size_t> to_a_handler_that_never_reads() {
    Server server = co_await start_server(never_reads, "127.0.0.1", 0);
    auto [reader, writer] = co_await open_connection("127.0.0.1", net_tests::port_of(server));
    auto progress = std::make_shared<Progress>();
    StreamWriter& out = writer;
    const auto write = [&out, progress]() -> Coro<> { co_await pour(out, progress); };
    const std::size_t grown = co_await stands(write, progress);
    writer.abort();
    co_await net_tests::end(server);
    co_return grown;
}

Coro<std::size_t> to_a_child() {
    Process child = co_await create_subprocess_exec({.stdin_ = PIPE}, "sleep", "60");
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> { co_await pour(child.stdin_(), progress); };
    const std::size_t grown = co_await stands(write, progress);
    child.kill();
    co_await child.wait();
    co_return grown;
}

Coro<std::size_t> by_communicate() {
    Process child =
        co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "sleep", "60");
    // What is to be written is the caller's: it is there before.
    std::string input(32u << 20, 'x');
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> { co_await child.communicate(std::move(input)); };
    const std::size_t grown = co_await stands(write, progress);
    child.kill();
    co_await child.wait();
    co_return grown;
}

Coro<std::size_t> by_sock_sendall() {
    auto sockets = unix_pair(SOCK_STREAM);
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> {
        for (; progress->written < all; progress->written += kPiece)
            co_await get_running_loop().sock_sendall(sockets.first.get(),
                                                     std::string_view(piece()));
    };
    co_return co_await stands(write, progress);
}

Coro<std::size_t> by_datagrams() {
    auto sockets = unix_pair(SOCK_DGRAM);
    DatagramOptions options;
    options.sock = sockets.first.release();
    const DatagramEndpoint endpoint = co_await open_datagram(options);
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> {
        for (; progress->written < all; progress->written += 1000)
            co_await endpoint.sendto(std::string_view(piece()).substr(0, 1000));
    };
    const std::size_t grown = co_await stands(write, progress);
    endpoint.abort();
    co_return grown;
}

/// Nobody reads the datagrams that somebody sends to us.
Coro<std::size_t> of_datagrams_received() {
    auto sockets = unix_pair(SOCK_DGRAM);
    DatagramOptions options;
    options.sock = sockets.first.release();
    const DatagramEndpoint endpoint = co_await open_datagram(options);
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> {
        for (; progress->written < all; progress->written += 1000)
            co_await get_running_loop().sock_sendall(sockets.second.get(),
                                                     std::string_view(piece()).substr(0, 1000));
    };
    const std::size_t grown = co_await stands(write, progress);
    endpoint.abort();
    co_return grown - std::min<std::size_t>(grown, 1u << 20);  // receive_limit
}

Coro<std::size_t> into_a_fifo() {
    const std::string name = "/tmp/asyncio-proof-fifo-" + std::to_string(::getpid());
    if (::mkfifo(name.c_str(), 0600) != 0) co_return all;
    const int reader = ::open(name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const os::Fd keep(reader);
    File file = co_await open(name, "w");
    ::unlink(name.c_str());
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> {
        for (; progress->written < all; progress->written += kPiece)
            (void)co_await file.write(piece());
    };
    co_return co_await stands(write, progress);
}

Coro<std::size_t> into_a_queue() {
    Queue<std::string> queue(1);
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> {
        for (; progress->written < all; progress->written += kPiece) {
            std::string copy = piece();
            co_await queue.put(std::move(copy));
        }
    };
    co_return co_await stands(write, progress);
}

Coro<std::size_t> into_a_thread_queue() {
    ThreadQueue<std::string> queue(1);
    auto progress = std::make_shared<Progress>();
    const auto write = [&]() -> Coro<> {
        for (; progress->written < all; progress->written += kPiece) {
            std::string copy = piece();
            co_await queue.put(std::move(copy));
        }
    };
    co_return co_await stands(write, progress);
}

constexpr Way kWays[] = {
    {"StreamWriter over TCP", over_tcp},
    {"StreamWriter.writelines", over_tcp_in_lines},
    {"StreamWriter over a unix socket", over_unix},
    {"StreamWriter over TLS", over_tls},
    {"a handler that never reads", to_a_handler_that_never_reads},
    {"Process.stdin_", to_a_child},
    {"Process.communicate", by_communicate},
    {"sock_sendall", by_sock_sendall},
    {"DatagramEndpoint.sendto", by_datagrams},
    {"DatagramEndpoint nobody reads", of_datagrams_received},
    {"File.write into a FIFO", into_a_fifo},
    {"Queue.put", into_a_queue},
    {"ThreadQueue.put", into_a_thread_queue},
};

}  // namespace

int main(int argc, char** argv) {
    proof::Goal goal("G22 back-pressure", argc, argv);
    const asyncio::testing::LogLines quiet;
    for (const Way& way : kWays) {
        if (!goal.wants(way.name)) continue;
        all = kPiece;  // what a first time takes
        (void)asyncio::run(way.grows());
        all = kGibibyte;
        const double grown = static_cast<double>(asyncio::run(way.grows())) / 1024;
        goal.figure(grown, {.at_most = static_cast<double>(kHighWater + kMargin) / 1024},
                    std::string(way.name) + ": 1 GiB to nobody, memory grew by {} KiB");
    }
    return goal.result();
}
