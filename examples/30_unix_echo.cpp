// SPDX-License-Identifier: MIT
//
// Echo over a unix socket, for this user only, and who is calling.
// `example_30_unix_echo PATH`; then `socat - UNIX-CONNECT:PATH`.
#include <asyncio/asyncio.hpp>

#include <cstdio>

using asyncio::Coro;

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    const auto peer = writer.socket().peer_credentials();
    std::printf("hello, process %d of user %u\n", peer.pid, peer.uid);
    std::fflush(stdout);
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        writer.write(*line);
        co_await writer.drain();
    }
}

Coro<> serve(const char* path) {
    auto server = co_await asyncio::start_unix_server(echo, path, {.permissions = 0600});
    std::printf("listening on %s\n", path);
    std::fflush(stdout);
    co_await server.serve_forever();
}

int main(int argc, char** argv) try {
    asyncio::run(serve(argc > 1 ? argv[1] : "echo.sock"));
} catch (const asyncio::KeyboardInterrupt&) {
    std::puts("bye");
}
