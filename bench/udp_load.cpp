// SPDX-License-Identifier: MIT
//
// Load for UDP echo servers: one thread, plain calls.
//
//     bench_udp_load [--conns 64] [--size 64] [--secs 1] [--impl NAME] PORT
//
// Each socket has one datagram under way. One that got lost is sent again after a tenth of a second
// without any answer.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "harness.hpp"

namespace {

int connect_to(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    if (fd < 0 || ::connect(fd, generic, sizeof address) != 0) {
        std::perror("connect");
        std::exit(1);
    }
    return fd;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t conns = 64;
    std::size_t size = 64;
    double secs = 1;
    std::string impl = "asyncio";
    for (int i = 1; i + 1 < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--conns") conns = std::strtoul(argv[i + 1], nullptr, 10);
        if (word == "--size") size = std::strtoul(argv[i + 1], nullptr, 10);
        if (word == "--secs") secs = std::strtod(argv[i + 1], nullptr);
        if (word == "--impl") impl = argv[i + 1];
    }
    bench::allow_many_descriptors();
    const int poll = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<char> memory(65536, 'x');
    std::vector<int> sockets;
    while (sockets.size() < conns) {
        const int fd = connect_to(std::atoi(argv[argc - 1]));
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        ::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        sockets.push_back(fd);
    }
    const auto send = [&](int fd) { (void)!::send(fd, memory.data(), size, MSG_DONTWAIT); };
    for (const int fd : sockets) send(fd);
    std::int64_t messages = 0;
    const std::int64_t start = bench::now_ns();
    epoll_event events[256];
    while (static_cast<double>(bench::now_ns() - start) < secs * 1e9) {
        const int count = ::epoll_wait(poll, events, 256, 100);
        if (count == 0)
            for (const int fd : sockets) send(fd);
        for (int i = 0; i < count; ++i) {
            const int fd = events[i].data.fd;
            if (::recv(fd, memory.data(), memory.size(), MSG_DONTWAIT) < 0) continue;
            ++messages;
            send(fd);
        }
    }
    const double length = static_cast<double>(bench::now_ns() - start) / 1e9;
    std::printf(R"({"bench":"udp echo %zuc x %zuB","impl":"%s","value":%.1f,"unit":"msg/s"})"
                "\n",
                conns, size, impl.c_str(), static_cast<double>(messages) / length);
}
