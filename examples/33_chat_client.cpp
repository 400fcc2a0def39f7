// SPDX-License-Identifier: MIT
//
// A client for chat_server: what you type goes out, what others say comes in, at the same time.
//
//     ./dev demo                            the server
//     ./dev example 33 [HOST [PORT]]        default: 127.0.0.1 8888
#include <asyncio/asyncio.hpp>

#include <iostream>

using asyncio::Coro;

Coro<> listen(asyncio::StreamReader& network) {
    auto lines = network.lines();
    while (auto line = co_await lines.next()) std::cout << *line << std::flush;
}

Coro<> talk(asyncio::StreamReader& keyboard, asyncio::StreamWriter& writer) {
    auto lines = keyboard.lines();
    while (auto line = co_await lines.next()) {
        writer.write(*line);
        co_await writer.drain();
    }
    writer.write("/quit\n");  // the end of input
    co_await writer.drain();
}

Coro<> chat(std::string host, asyncio::Port port) {
    auto [reader, writer] = co_await asyncio::open_connection(host, port);
    auto keyboard = asyncio::open_stdin();
    auto talking = asyncio::create_task(talk(keyboard, writer));
    co_await listen(reader);  // until the server has said goodbye
    talking.cancel();
    (void)co_await asyncio::as_outcome(talking);
    writer.close();
    co_await writer.wait_closed();
}

int main(int argc, char** argv) {
    return asyncio::run_main([=] {
        return chat(argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? asyncio::Port(argv[2]) : 8888);
    });
}
