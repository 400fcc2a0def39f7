// SPDX-License-Identifier: MIT
//
// Service discovery by broadcast: who offers a service answers with its name and port; who looks
// for one asks everybody, and collects the answers of one second.
//
//     example_35_discovery offer NAME PORT [UDP_PORT [ADDRESS]]
//     example_35_discovery find [UDP_PORT [BROADCAST_ADDRESS]]
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;

constexpr std::string_view kQuestion = "who is there?";

Coro<> offer(std::string name, std::string port, std::uint16_t udp_port, std::string address) {
    auto udp = co_await asyncio::open_datagram(
        {.local = {address, udp_port}, .reuse_port = true, .allow_broadcast = true});
    std::printf("offering %s on %s\n", name.c_str(), udp.sockname().to_string().c_str());
    std::fflush(stdout);
    for (;;) {
        auto [bytes, from] = co_await udp.recvfrom();
        const std::string answer = name + " " + port;
        if (bytes == kQuestion) co_await udp.sendto(answer, from);
    }
}

Coro<> collect(asyncio::DatagramEndpoint& udp) {
    for (;;) {
        auto [bytes, from] = co_await udp.recvfrom();
        std::printf("%s at %s\n", bytes.c_str(), from.host().c_str());
    }
}

Coro<> find(std::uint16_t udp_port, std::string everybody) {
    auto udp =
        co_await asyncio::open_datagram({.remote = {everybody, udp_port}, .allow_broadcast = true});
    co_await udp.sendto(kQuestion);
    try {
        co_await asyncio::wait_for(collect(udp), 1s);
    } catch (const asyncio::TimeoutError&) {
        // That is how the search ends.
    }
}

std::string argument(int argc, char** argv, int index, const char* otherwise) {
    return argc > index ? argv[index] : otherwise;
}

}  // namespace

int main(int argc, char** argv) try {
    const std::string command = argument(argc, argv, 1, "find");
    const bool offers = command == "offer" && argc > 3;
    const int rest = offers ? 4 : 2;
    const auto port =
        static_cast<std::uint16_t>(std::atoi(argument(argc, argv, rest, "9996").c_str()));
    if (offers)
        asyncio::run(offer(argv[2], argv[3], port, argument(argc, argv, rest + 1, "0.0.0.0")));
    else
        asyncio::run(find(port, argument(argc, argv, rest + 1, "255.255.255.255")));
} catch (const asyncio::KeyboardInterrupt&) {
    std::puts("bye");
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
