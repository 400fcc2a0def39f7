// SPDX-License-Identifier: MIT
//
// UDP echo: sends every datagram back. `example_31_udp_echo [PORT]`; 0 picks one.
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>

asyncio::Coro<> echo(std::uint16_t port) {
    auto udp = co_await asyncio::open_datagram({.local = {"127.0.0.1", port}});
    std::printf("listening on %s\n", udp.sockname().to_string().c_str());
    std::fflush(stdout);
    for (;;) {
        auto [bytes, from] = co_await udp.recvfrom();
        co_await udp.sendto(bytes, from);
    }
}

int main(int argc, char** argv) try {
    asyncio::run(echo(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 9998)));
} catch (const asyncio::KeyboardInterrupt&) {
    std::puts("bye");
}
