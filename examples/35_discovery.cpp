// SPDX-License-Identifier: MIT
//
// Service discovery by broadcast: who offers a service answers with its name and port; who looks
// for one asks everybody, and collects the answers of one second.
//
//     ./dev example 35 offer NAME PORT [UDP_PORT [ADDRESS]]        Ctrl-C ends it
//     ./dev example 35 find [UDP_PORT [BROADCAST_ADDRESS]]
#include <asyncio/asyncio.hpp>

#include <iostream>

using namespace std::chrono_literals;
using asyncio::Coro;

constexpr std::string_view kQuestion = "who is there?";

Coro<> offer(std::string service, asyncio::Port port, std::string address) {
    auto udp = co_await asyncio::open_datagram(
        {.local = {address, port}, .reuse_port = true, .allow_broadcast = true});
    std::cout << "offering " << service << " on " << udp.sockname() << std::endl;
    for (;;) {
        auto [bytes, from] = co_await udp.recvfrom();
        if (bytes == kQuestion) co_await udp.sendto(service, from);
    }
}

Coro<> collect(asyncio::DatagramEndpoint& udp) {
    for (;;) {
        auto [bytes, from] = co_await udp.recvfrom();
        std::cout << bytes << " at " << from.host() << std::endl;
    }
}

Coro<> find(asyncio::Port port, std::string everybody) {
    auto udp =
        co_await asyncio::open_datagram({.remote = {everybody, port}, .allow_broadcast = true});
    co_await udp.sendto(kQuestion);
    try {
        co_await asyncio::wait_for(collect(udp), 1s);
    } catch (const asyncio::TimeoutError&) {
        // That is how the search ends.
    }
}

Coro<> program(std::vector<std::string> words) {
    if (words.empty()) words.push_back("find");
    const bool offers = words[0] == "offer";
    const std::size_t rest = offers ? 3 : 1;
    if (words.size() < rest) throw std::runtime_error("usage: offer NAME PORT [...] | find [...]");
    if (words.size() == rest) words.push_back("9996");
    if (words.size() == rest + 1) words.push_back(offers ? "0.0.0.0" : "255.255.255.255");
    if (offers)
        co_await offer(words[1] + " " + words[2], asyncio::Port(words[rest]), words[rest + 1]);
    else
        co_await find(asyncio::Port(words[rest]), words[rest + 1]);
}

int main(int argc, char** argv) { return asyncio::run_main(program({argv + 1, argv + argc})); }
