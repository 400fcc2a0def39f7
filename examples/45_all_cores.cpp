// SPDX-License-Identifier: MIT
//
// The echo server on all cores: one loop and one thread for each, one socket each (SO_REUSEPORT),
// and the kernel spreads the connections. Ctrl-C ends all of them.
//
//     build/dev/example_45_all_cores 8888
//     nc 127.0.0.1 8888
#include <asyncio/asyncio.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace {

using asyncio::Coro;

std::atomic<int> lines_echoed = 0;  // all that the cores share

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        ++lines_echoed;
        writer.write(*line);
        co_await writer.drain();
    }
}

Coro<> serve(std::uint16_t port, int core) {
    asyncio::Server server =
        co_await asyncio::start_server(echo, "127.0.0.1", port, {.reuse_port = true});
    std::printf("core %d listens\n", core);
    std::fflush(stdout);
    co_await server.serve_forever();
}

}  // namespace

int main(int argc, char** argv) try {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 8888);
    asyncio::serve_on_cores(0, [port](int core) -> Coro<> { co_await serve(port, core); });
} catch (const asyncio::KeyboardInterrupt&) {
    std::printf("%d lines\n", lines_echoed.load());
}
