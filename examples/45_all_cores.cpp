// SPDX-License-Identifier: MIT
//
// The echo server on all cores: one loop and one thread for each, one socket each (SO_REUSEPORT),
// and the kernel spreads the connections. Ctrl-C ends all of them.
//
//     ./dev example 45 [PORT]      default: 8888
//     nc 127.0.0.1 PORT
#include <asyncio/asyncio.hpp>

#include <atomic>
#include <cstdio>

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

Coro<> serve(asyncio::Port port, int core) {
    auto server = co_await asyncio::start_server(echo, "127.0.0.1", port, {.reuse_port = true});
    std::printf("core %d listens\n", core);
    std::fflush(stdout);
    co_await server.serve_forever();
}

int main(int argc, char** argv) try {
    const asyncio::Port port = argc > 1 ? asyncio::Port(argv[1]) : 8888;
    asyncio::serve_on_cores(0, [port](int core) { return serve(port, core); });
} catch (const asyncio::KeyboardInterrupt&) {
    std::printf("%d lines\n", lines_echoed.load());
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
