// SPDX-License-Identifier: MIT
//
// Echo server with coroutine streams, for the benchmarks. The last argument is the port;
// ASYNCIO_BACKEND chooses io_uring or epoll.
//
// The session reads with read(n) and writes what it got. read_into() needs no string per message,
// but memory of its own for every connection, idle or not: 64 KiB of it would cost more than
// everything else of a connection together. `--into BYTES` measures that variant.
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
        const std::string data = co_await reader.read(kReadSize);
        if (data.empty()) break;
        writer.write(data);
        co_await writer.drain();
    }
}

std::size_t into_bytes = 0;  // of each connection's memory; 0: read(n)

Coro<> echo_into(StreamReader& reader, StreamWriter& writer) {
    const std::size_t size = into_bytes;
    const auto memory = std::make_unique_for_overwrite<std::byte[]>(size);
    for (;;) {
        const std::size_t count = co_await reader.read_into({memory.get(), size});
        if (count == 0) break;
        writer.write(std::span<const std::byte>(memory.get(), count));
        co_await writer.drain();
    }
}

Coro<> serve(std::uint16_t port) {
    const asyncio::ServerOptions options{.backlog = 4096};
    const auto handler = into_bytes == 0 ? &echo : &echo_into;
    const asyncio::Server server =
        co_await asyncio::start_server(handler, "127.0.0.1", port, options);
    co_await server.serve_forever();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s [--into BYTES] PORT\n", argv[0]);
        return 2;
    }
    const bool into = argc > 3 && std::string_view(argv[1]) == "--into";
    if (into) into_bytes = std::strtoul(argv[2], nullptr, 10);
    bench::allow_many_descriptors();
    try {
        asyncio::run(serve(static_cast<std::uint16_t>(std::atoi(argv[argc - 1]))));
    } catch (const asyncio::KeyboardInterrupt&) {
    }
}
