// SPDX-License-Identifier: MIT
//
// UDP echo: sends every datagram back. Ctrl-C ends it.
//
//     ./dev example 31 [PORT]      port 0, the default, picks a free one
//     nc -u 127.0.0.1 PORT
#include <asyncio/asyncio.hpp>

#include <iostream>

asyncio::Coro<> echo(asyncio::Port port) {
    auto udp = co_await asyncio::open_datagram({.local = {"127.0.0.1", port}});
    std::cout << "listening on " << udp.sockname() << std::endl;
    for (;;) {
        auto [bytes, from] = co_await udp.recvfrom();
        co_await udp.sendto(bytes, from);
    }
}

int main(int argc, char** argv) {
    return asyncio::run_main([=] { return echo(argc > 1 ? asyncio::Port(argv[1]) : 0); });
}
