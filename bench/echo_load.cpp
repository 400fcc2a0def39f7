// SPDX-License-Identifier: MIT
//
// Load for echo_server.cpp, for machines without the peers: one thread, epoll, plain calls.
//
//     bench_echo_load [--conns 64] [--size 64] [--secs 1] [--idle N] [--impl NAME] [--pid P] PORT
//
// Each connection has one message under way. --idle N opens N connections and says what the
// server's (P's) memory grew by, instead.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "harness.hpp"

namespace {

struct Options {
    std::size_t conns = 64;
    std::size_t size = 64;
    double secs = 1;
    std::size_t idle = 0;
    std::string impl = "asyncio";
    std::string pid = "self";
    int port = 0;
};

Options parse(int count, char** values) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string_view word = values[i];
        const char* next = i + 1 < count ? values[i + 1] : "";
        if (word == "--conns") options.conns = std::strtoul(next, nullptr, 10);
        if (word == "--size") options.size = std::strtoul(next, nullptr, 10);
        if (word == "--secs") options.secs = std::strtod(next, nullptr);
        if (word == "--idle") options.idle = std::strtoul(next, nullptr, 10);
        if (word == "--impl") options.impl = next;
        if (word == "--pid") options.pid = next;
    }
    options.port = std::atoi(values[count - 1]);
    return options;
}

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

int connect_to(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int attempt = 0; attempt < 500; ++attempt) {  // the server may be starting
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) fail("socket");
        const auto* generic = reinterpret_cast<const sockaddr*>(&address);
        if (::connect(fd, generic, sizeof address) == 0) {
            const int on = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return fd;
        }
        ::close(fd);
        bench::spin_us(10'000);
    }
    fail("connect");
}

double resident_of(const std::string& pid) {
    double pages = 0;
    std::ifstream("/proc/" + pid + "/statm") >> pages >> pages;
    return pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

void emit(const Options& options, const std::string& bench, double value, const char* unit) {
    std::printf(R"({"bench":"%s","impl":"%s","value":%.1f,"unit":"%s"})"
                "\n",
                bench.c_str(), options.impl.c_str(), value, unit);
}

struct Connection {
    int fd = -1;
    std::size_t sent = 0;
    std::size_t received = 0;
};

/// Push the message on as far as it goes; true when it has come back whole.
bool advance(Connection& connection, std::vector<char>& memory) {
    const std::size_t size = memory.size();
    if (connection.sent < size) {
        const auto n = ::send(connection.fd, memory.data(), size - connection.sent,
                              MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) connection.sent += static_cast<std::size_t>(n);
    }
    const auto n = ::recv(connection.fd, memory.data(), size, MSG_DONTWAIT);
    if (n == 0) fail("the server closed a connection");
    if (n > 0) connection.received += static_cast<std::size_t>(n);
    if (connection.received < size) return false;
    connection.sent = connection.received = 0;
    return true;
}

void measure_idle(const Options& options) {
    const int first = connect_to(options.port);
    bench::spin_us(100'000);
    const double before = resident_of(options.pid);
    std::vector<int> all{first};
    while (all.size() < options.idle) all.push_back(connect_to(options.port));
    bench::spin_us(500'000);
    const double bytes = resident_of(options.pid) - before;
    emit(options, "idle connection memory (" + std::to_string(options.idle) + " conns)",
         bytes / static_cast<double>(options.idle), "B RSS/conn");
}

void measure_throughput(const Options& options) {
    const int poll = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<Connection> connections(options.conns);
    std::vector<char> memory(options.size, 'x');
    for (Connection& connection : connections) {
        connection.fd = connect_to(options.port);
        epoll_event event{};
        event.events = EPOLLIN | (options.size > 4096 ? EPOLLOUT : 0u) | EPOLLET;
        event.data.ptr = &connection;
        ::epoll_ctl(poll, EPOLL_CTL_ADD, connection.fd, &event);
        advance(connection, memory);
    }
    std::int64_t messages = 0;
    const std::int64_t start = bench::now_ns();
    const auto length = static_cast<std::int64_t>(options.secs * 1e9);
    epoll_event events[256];
    while (bench::now_ns() - start < length) {
        const int count = ::epoll_wait(poll, events, 256, 100);
        for (int i = 0; i < count; ++i) {
            Connection& connection = *static_cast<Connection*>(events[i].data.ptr);
            if (!advance(connection, memory)) continue;
            ++messages;
            advance(connection, memory);  // the next one
        }
    }
    const double secs = static_cast<double>(bench::now_ns() - start) / 1e9;
    emit(options,
         "echo " + std::to_string(options.conns) + "c x " + std::to_string(options.size) + "B",
         static_cast<double>(messages) / secs, "msg/s");
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: %s [--conns N] [--size BYTES] [--secs S] [--idle N] PORT\n",
                     argv[0]);
        return 2;
    }
    bench::allow_many_descriptors();
    const Options options = parse(argc, argv);
    if (options.idle > 0)
        measure_idle(options);
    else
        measure_throughput(options);
}
