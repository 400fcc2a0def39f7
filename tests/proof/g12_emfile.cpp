// SPDX-License-Identifier: MIT
//
// G12: a server that runs out of descriptors (D1). It may have 64; 500 clients come at once. Those
// it could not accept wait in the system's queue: it says so once a second, uses no CPU to
// speak of, serves the clients it has, and takes the next ones as soon as some of them go.
#include <asyncio/asyncio.hpp>

#include <algorithm>
#include <tests/proof/figure.hpp>
#include <tests/proof/machine.hpp>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

constexpr int kClients = 500;
constexpr int kDescriptors = 64;

/// What the server's process says at its end.
struct Report {
    double cpu_seconds;
    int reports;  // that there was no descriptor
};

Coro<> echo(StreamReader& reader, StreamWriter& writer) {
    for (std::string data; !(data = co_await reader.read(4096)).empty();) {
        writer.write(data);
        co_await writer.drain();
    }
}

/// Serves until `pipes` has something to read; says its port first and its report last.
Coro<> serve(int in, int out) {
    EventLoop& loop = get_running_loop();
    Report report = {};
    loop.set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
        // Not those of clients that go while they are answered.
        report.reports += context.message == "socket.accept() out of system resource" ? 1 : 0;
    });
    Server server = co_await start_server(echo, "127.0.0.1", 0, {.backlog = 2 * kClients});
    const std::uint16_t port = server.sockets().front().getsockname().port();
    if (::write(out, &port, sizeof port) < 0) co_return;
    Future<> told = loop.create_future<void>();
    loop.add_reader(in, [&] { told.set_result(); });
    co_await told;
    loop.remove_reader(in);
    report.cpu_seconds = proof::cpu_seconds();
    if (::write(out, &report, sizeof report) < 0) co_return;
    server.close();
    server.abort_clients();
}

/// A client with blocking calls.
class Client {
  public:
    explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address = {};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ =
            ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    bool connected() const { return connected_; }
    void send() { (void)::send(fd_.get(), "x", 1, MSG_NOSIGNAL); }
    /// True if an answer comes within `timeout`.
    bool answered(std::chrono::milliseconds timeout) {
        pollfd poll = {fd_.get(), POLLIN, 0};
        char byte;
        return ::poll(&poll, 1, static_cast<int>(timeout.count())) == 1 &&
               ::recv(fd_.get(), &byte, 1, 0) == 1;
    }

  private:
    os::Fd fd_;
    bool connected_ = false;
};

struct Siege {
    bool connected = true;
    int served = 0;  // at first
    int errors = 0;  // answers that clients of the server did not get
    double recovered_ms = 1e9;
};

/// Comes with all clients, talks to those that are served for `how_long`, lets some go.
Siege besiege(std::uint16_t port, std::chrono::milliseconds how_long) {
    Siege siege;
    std::vector<Client> clients;
    for (int i = 0; i < kClients; ++i) siege.connected &= clients.emplace_back(port).connected();
    for (Client& client : clients) client.send();
    // The first are served, in the order in which they came.
    while (siege.served < kClients && clients[static_cast<std::size_t>(siege.served)].answered(1s))
        ++siege.served;
    const auto served = static_cast<std::size_t>(siege.served);
    for (const auto end = Clock::now() + how_long; Clock::now() < end;) {
        for (std::size_t i = 0; i < served; ++i) {
            clients[i].send();
            siege.errors += clients[i].answered(2s) ? 0 : 1;
        }
        std::this_thread::sleep_for(100ms);
    }
    if (served < 10 || served == clients.size()) return siege;
    const TimePoint freed = Clock::now();
    clients.erase(clients.begin(), clients.begin() + 10);
    if (clients[served - 10].answered(5s))  // the first that waited
        siege.recovered_ms =
            std::chrono::duration<double, std::milli>(Clock::now() - freed).count();
    return siege;
}

}  // namespace

int main(int argc, char** argv) {
    proof::Goal goal("G12 out of descriptors", argc, argv);
    const auto how_long = std::chrono::seconds(goal.scaled<int>({2, 10, 30}));
    int to_server[2];
    int from_server[2];
    if (::pipe(to_server) != 0 || ::pipe(from_server) != 0) return 2;
    const pid_t server = ::fork();
    if (server == 0) {
        const rlimit limit = {kDescriptors, kDescriptors};
        ::setrlimit(RLIMIT_NOFILE, &limit);
        ::close(from_server[0]);
        ::close(to_server[1]);
        asyncio::run(serve(to_server[0], from_server[1]));
        ::_exit(0);
    }
    ::close(from_server[1]);
    ::close(to_server[0]);
    std::uint16_t port = 0;
    if (::read(from_server[0], &port, sizeof port) != sizeof port) return 1;
    const TimePoint start = Clock::now();
    const Siege siege = besiege(port, how_long);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    Report report = {1e9, 1 << 30};
    if (::write(to_server[1], "x", 1) != 1 ||
        ::read(from_server[0], &report, sizeof report) != sizeof report)
        goal.note("the server's process has died");
    int status = -1;
    ::waitpid(server, &status, 0);

    const std::string head = std::to_string(siege.served) + " of " + std::to_string(kClients) +
                             " clients served with " + std::to_string(kDescriptors) +
                             " descriptors, ";
    goal.line(siege.connected && status == 0 && siege.served >= 40 && siege.served < kDescriptors,
              head + "the rest wait (limit >= 40)");
    goal.figure(siege.errors, {.at_most = 0}, head + "{} answers missing");
    goal.figure(100 * report.cpu_seconds / seconds, {.at_most = 5}, head + "{} % of a processor");
    goal.figure(report.reports / seconds, {.at_most = 2}, head + "{} reports a second");
    goal.line(siege.recovered_ms < 1e9, head + "one that waited after some have gone");
    goal.figure(siege.recovered_ms, goal.if_quiet({.at_most = 150}),
                head + "the next one after {} ms");
    return goal.result();
}
