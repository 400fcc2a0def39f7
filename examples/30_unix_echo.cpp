// SPDX-License-Identifier: MIT
//
// Echo over a unix socket, for this user only, and who is calling. Ctrl-C ends it.
//
//     ./dev example 30 [PATH]      default: echo.sock
//     nc -U PATH
#include <asyncio/asyncio.hpp>

#include <iostream>

using asyncio::Coro;

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    const auto peer = writer.socket().peer_credentials();
    std::cout << "hello, process " << peer.pid << " of user " << peer.uid << std::endl;
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        writer.write(*line);
        co_await writer.drain();
    }
}

Coro<> serve(const char* path) {
    auto server = co_await asyncio::start_unix_server(echo, path, {.permissions = 0600});
    std::cout << "listening on " << path << std::endl;
    co_await server.serve_forever();
}

int main(int argc, char** argv) {
    return asyncio::run_main(serve(argc > 1 ? argv[1] : "echo.sock"));
}
