// SPDX-License-Identifier: MIT
//
// A server that says every line back, each client in a task of its own. Ctrl-C ends it.
//
//     ./dev example 29 [PORT]      port 0, the default, picks a free one
//     nc 127.0.0.1 PORT
#include <asyncio/asyncio.hpp>

#include <iostream>

using asyncio::Coro;

Coro<> echo(asyncio::StreamReader& reader, asyncio::StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        writer.write(*line);
        co_await writer.drain();  // waits for a client that reads more slowly than it writes
    }
}

Coro<> serve(asyncio::Port port) {
    auto server = co_await asyncio::start_server(echo, "127.0.0.1", port);
    std::cout << "listening on " << server.sockets()[0].getsockname() << std::endl;
    co_await server.serve_forever();
}

int main(int argc, char** argv) {
    return asyncio::run_main([=] { return serve(argc > 1 ? asyncio::Port(argv[1]) : 0); });
}
