// SPDX-License-Identifier: MIT
//
// Echo server with coroutine streams, for the benchmarks. The last argument is the port;
// ASYNCIO_BACKEND chooses io_uring or epoll.
//
// The session passes on what peek() shows: no string per message, and no memory of a connection's
// own while it is idle. `--read` measures read(n), a string each; `--into BYTES` read_into().
#include <asyncio/asyncio.hpp>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "harness.hpp"

namespace {

using asyncio::Coro;
using asyncio::StreamReader;
using asyncio::StreamWriter;

constexpr std::size_t kReadSize = 65536;

Coro<> echo(StreamReader& reader, StreamWriter& writer) {
    for (;;) {
        const std::string_view data = co_await reader.peek();
        if (data.empty()) break;
        writer.write(data);
        reader.consume(data.size());
        co_await writer.drain();
    }
}

Coro<> echo_read(StreamReader& reader, StreamWriter& writer) {
    for (;;) {
        const std::string data = co_await reader.read(kReadSize);
        if (data.empty()) break;
        writer.write(data);
        co_await writer.drain();
    }
}

std::size_t into_bytes = 0;  // of each connection's memory, with --into

Coro<> echo_into(StreamReader& reader, StreamWriter& writer) {
    const std::size_t size = into_bytes;
    const auto memory = std::make_unique_for_overwrite<std::byte[]>(size);
    const std::span<std::byte> target(memory.get(), size);
    for (;;) {
        const std::size_t count = co_await reader.read_into(target);
        if (count == 0) break;
        writer.write(std::span<const std::byte>(memory.get(), count));
        co_await writer.drain();
    }
}

using Session = Coro<>(StreamReader&, StreamWriter&);

Coro<> serve(Session* session, std::uint16_t port) {
    const asyncio::ServerOptions options{.backlog = 4096};
    const asyncio::Server server =
        co_await asyncio::start_server(session, "127.0.0.1", port, options);
    co_await server.serve_forever();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s [--read | --into BYTES] PORT\n", argv[0]);
        return 2;
    }
    const std::string_view option = argv[1];
    Session* session = &echo;
    if (option == "--read") session = &echo_read;
    if (option == "--into" && argc > 3) {
        session = &echo_into;
        into_bytes = std::strtoul(argv[2], nullptr, 10);
    }
    bench::allow_many_descriptors();
    try {
        asyncio::run(serve(session, static_cast<std::uint16_t>(std::atoi(argv[argc - 1]))));
    } catch (const asyncio::KeyboardInterrupt&) {
    }
}
