// SPDX-License-Identifier: MIT
//
// User instructions that a server spends on a message, without hardware counters: the server is
// single-stepped (ptrace) while it serves.
//
//     bench_cost [--conns 64] [--size 64] [--rounds 4] [--impl NAME] [--addresses FILE]
//                COMMAND... PORT
//
// Starts COMMAND with the port, opens the connections, lets the server warm up for some rounds, and
// counts during the next ones. In a round each connection sends one message, and all wait for all
// the answers. The count repeats within one instruction a message. --addresses writes how often
// each instruction ran ("address count", addresses as in the file), for a profile.
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.hpp"

namespace {

constexpr int kWarmUpRounds = 20;

struct Options {
    std::size_t conns = 64;
    std::size_t size = 64;
    int rounds = 4;
    std::string impl = "asyncio";
    std::string addresses;
    std::vector<char*> command;
    int port = 0;
};

[[noreturn]] void fail(const char* what) {
    std::perror(what);
    std::exit(1);
}

Options parse(int count, char** values) {
    Options options;
    int i = 1;
    for (; i + 1 < count && std::string_view(values[i]).starts_with("--"); i += 2) {
        const std::string_view word = values[i];
        const char* next = values[i + 1];
        if (word == "--conns") options.conns = std::strtoul(next, nullptr, 10);
        if (word == "--size") options.size = std::strtoul(next, nullptr, 10);
        if (word == "--rounds") options.rounds = std::atoi(next);
        if (word == "--impl") options.impl = next;
        if (word == "--addresses") options.addresses = next;
    }
    options.command.assign(values + i, values + count);
    if (options.command.size() < 2) {
        std::fprintf(stderr, "usage: %s [OPTIONS] COMMAND... PORT\n", values[0]);
        std::exit(2);
    }
    options.port = std::atoi(options.command.back());
    options.command.push_back(nullptr);
    return options;
}

int connect_to(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int attempt = 0; attempt < 500; ++attempt) {  // the server may be starting
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0) fail("socket");
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
            const int on = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return fd;
        }
        ::close(fd);
        bench::spin_us(10'000);
    }
    fail("connect");
}

void round_of_messages(const std::vector<int>& connections, std::vector<char>& message) {
    for (const int fd : connections)
        if (::send(fd, message.data(), message.size(), MSG_NOSIGNAL) < 0) fail("send");
    for (const int fd : connections)
        if (::recv(fd, message.data(), message.size(), MSG_WAITALL) <= 0) fail("recv");
}

/// The load, a process of its own: warms up, says so, waits until it may go on, and ends.
[[noreturn]] void load(const Options& options, int say, int may_go_on) {
    std::vector<int> connections(options.conns);
    std::ranges::generate(connections, [&] { return connect_to(options.port); });
    std::vector<char> message(options.size, 'x');
    for (int i = 0; i < kWarmUpRounds; ++i) round_of_messages(connections, message);
    char byte = 0;
    if (::write(say, &byte, 1) != 1 || ::read(may_go_on, &byte, 1) != 1) fail("pipe");
    for (int i = 0; i < options.rounds; ++i) round_of_messages(connections, message);
    ::_exit(0);
}

/// Where the program's file stands in memory.
std::uint64_t base_of(pid_t pid) {
    std::string first;
    std::getline(std::ifstream("/proc/" + std::to_string(pid) + "/maps"), first);
    return std::strtoull(first.c_str(), nullptr, 16);
}

class Stepper {
  public:
    Stepper(pid_t server, bool notes_addresses) : server_(server), notes_(notes_addresses) {
        if (::ptrace(PTRACE_SEIZE, server, nullptr, nullptr) != 0) fail("ptrace");
        if (::ptrace(PTRACE_INTERRUPT, server, nullptr, nullptr) != 0) fail("ptrace");
        if (::waitpid(server, nullptr, __WALL) != server) fail("waitpid");
    }

    /// Until `load` has ended; the server waits in a system call then.
    void run_until_end_of(pid_t load, int tell_load) {
        ::ptrace(PTRACE_SINGLESTEP, server_, nullptr, nullptr);
        if (::write(tell_load, "", 1) != 1) fail("pipe");
        for (int status = 0;;) {
            const pid_t pid = ::waitpid(-1, &status, __WALL);
            if (pid == load) break;
            if (pid != server_ || !WIFSTOPPED(status)) fail("the server ended");
            ++steps;
            if (notes_) note();
            ::ptrace(PTRACE_SINGLESTEP, server_, nullptr, nullptr);
        }
    }

    std::uint64_t steps = 0;
    std::map<std::uint64_t, std::uint64_t> counts;  // by address

  private:
    void note() {
        user_regs_struct registers{};
        ::ptrace(PTRACE_GETREGS, server_, nullptr, &registers);
        ++counts[registers.rip];
    }

    pid_t server_;
    bool notes_;
};

void measure(const Options& options) {
    int say[2];
    int go[2];
    if (::pipe(say) != 0 || ::pipe(go) != 0) fail("pipe");
    const pid_t server = ::fork();
    if (server == 0) {
        ::execvp(options.command[0], options.command.data());
        fail(options.command[0]);
    }
    const pid_t loader = ::fork();
    if (loader == 0) load(options, say[1], go[0]);
    char byte = 0;
    if (::read(say[0], &byte, 1) != 1) fail("pipe");
    bench::spin_us(20'000);
    Stepper stepper(server, !options.addresses.empty());
    stepper.run_until_end_of(loader, go[1]);
    const double messages = static_cast<double>(options.conns) * options.rounds;
    std::printf(
        "{\"bench\":\"user instructions per message (%zu x %zu)\",\"impl\":\"%s\","
        "\"value\":%.1f,\"unit\":\"instructions\"}\n",
        options.conns, options.size, options.impl.c_str(),
        static_cast<double>(stepper.steps) / messages);
    const std::uint64_t base = base_of(server);
    std::ofstream file(options.addresses);
    for (const auto& [address, count] : stepper.counts)
        file << std::hex << address - base << ' ' << std::dec << count << '\n';
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, __WALL);
}

}  // namespace

int main(int argc, char** argv) { measure(parse(argc, argv)); }
