// SPDX-License-Identifier: MIT
//
// The floor: a UDP echo with epoll, recvfrom and sendto, nothing else. `udp_epoll PORT`
#include <cstdint>
#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>

int main(int, char** argv) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return 1;
    const int poll = ::epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    static char memory[65536];
    for (;;) {
        ::epoll_wait(poll, &event, 1, -1);
        for (;;) {
            sockaddr_storage from{};
            socklen_t size = sizeof from;
            auto* const whom = reinterpret_cast<sockaddr*>(&from);
            const auto count = ::recvfrom(fd, memory, sizeof memory, 0, whom, &size);
            if (count < 0) break;
            (void)!::sendto(fd, memory, static_cast<std::size_t>(count), 0, whom, size);
        }
    }
}
