// SPDX-License-Identifier: MIT
//
// A server that says every line back. Ctrl-C ends it.
//
//     build/dev/example_29_echo_server 8888        port 0, the default, picks a free one
//     nc 127.0.0.1 8888
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>

namespace {

using asyncio::Coro;

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        writer.write(*line);
        co_await writer.drain();  // waits for a client that reads more slowly than it writes
    }
}

Coro<> serve(std::uint16_t port) {
    asyncio::Server server = co_await asyncio::start_server(echo, "127.0.0.1", port);
    std::printf("listening on %s\n", server.sockets()[0].getsockname().to_string().c_str());
    std::fflush(stdout);
    co_await server.serve_forever();
}

}  // namespace

int main(int argc, char** argv) try {
    asyncio::run(serve(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0)));
} catch (const asyncio::KeyboardInterrupt&) {
    std::puts("bye");
}
