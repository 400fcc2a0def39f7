// SPDX-License-Identifier: MIT
//
// Load for TLS echo servers: one thread, epoll, OpenSSL on the sockets.
//
//     bench_tls_load [--conns 64] [--size 64] [--secs 1] [--idle N] [--impl NAME] [--pid P] PORT
//
// Each connection has one message under way. --size 0 measures handshakes: each connection shakes
// hands (no resumption), sends a byte, waits for it, closes, and begins anew. --idle N opens N
// connections and says what the server's (P's) memory grew by.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
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
        if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
            const int on = 1;
            const linger reset = {1, 0};  // no TIME_WAIT
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
            ::fcntl(fd, F_SETFL, O_NONBLOCK);
            return fd;
        }
        ::close(fd);
        bench::spin_us(10'000);
    }
    fail("connect");
}

/// One connection: a handshake, then messages that come back.
class Connection {
  public:
    Connection(SSL_CTX* context, int port) : ssl_(SSL_new(context)), fd_(connect_to(port)) {
        SSL_set_fd(ssl_, fd_);
        SSL_set_connect_state(ssl_);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        if (shaken_) SSL_shutdown(ssl_);
        SSL_free(ssl_);
        ::close(fd_);
    }

    int fd() const { return fd_; }
    bool shake() {
        if (!shaken_) shaken_ = check(SSL_do_handshake(ssl_)) == 1;
        return shaken_;
    }
    /// Push the message on as far as it goes; true when it has come back whole.
    bool advance(std::vector<char>& memory) {
        if (!shake()) return false;
        const int size = static_cast<int>(memory.size());
        while (sent_ < size) {
            const int n = check(SSL_write(ssl_, memory.data(), size - sent_));
            if (n <= 0) break;
            sent_ += n;
        }
        while (received_ < size) {
            const int n = check(SSL_read(ssl_, memory.data(), size));
            if (n <= 0) return false;
            received_ += n;
        }
        sent_ = received_ = 0;
        return true;
    }

  private:
    int check(int result) const {
        const int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_, result);
        if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL || error == SSL_ERROR_ZERO_RETURN)
            fail("the server ended a connection");
        return result;
    }

    SSL* ssl_;
    int fd_;
    bool shaken_ = false;
    int sent_ = 0;
    int received_ = 0;
};

struct Load {
    explicit Load(const Options& o) : options(o), context(SSL_CTX_new(TLS_client_method())) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(context,
                         SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }

    std::unique_ptr<Connection>& open(std::size_t index) {
        connections[index].reset();
        connections[index] = std::make_unique<Connection>(context, options.port);
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.u64 = index;
        ::epoll_ctl(poll, EPOLL_CTL_ADD, connections[index]->fd(), &event);
        return connections[index];
    }

    const Options& options;
    SSL_CTX* context;
    int poll = ::epoll_create1(EPOLL_CLOEXEC);
    std::vector<std::unique_ptr<Connection>> connections{options.conns};
};

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

void measure_idle(const Options& options) {
    Load load(options);
    std::vector<char> message(64, 'x');
    std::vector<std::unique_ptr<Connection>> all;
    double before = 0;
    for (std::size_t i = 0; i <= options.idle; ++i) {
        all.push_back(std::make_unique<Connection>(load.context, options.port));
        while (!all.back()->advance(message)) bench::spin_us(20);
        if (i == 0) before = resident_of(options.pid);
    }
    bench::spin_us(300'000);
    const double bytes = resident_of(options.pid) - before;
    emit(options, "idle TLS connection memory (" + std::to_string(options.idle) + " conns)",
         bytes / static_cast<double>(options.idle), "B RSS/conn");
    std::fflush(stdout);
    std::_Exit(0);  // without 10,000 goodbyes
}

void measure_throughput(const Options& options) {
    Load load(options);
    const bool handshakes = options.size == 0;
    std::vector<char> memory(handshakes ? 1 : options.size, 'x');
    for (std::size_t i = 0; i < options.conns; ++i) load.open(i)->advance(memory);
    std::int64_t messages = 0;
    const std::int64_t start = bench::now_ns();
    const auto length = static_cast<std::int64_t>(options.secs * 1e9);
    epoll_event events[256];
    while (bench::now_ns() - start < length) {
        const int count = ::epoll_wait(load.poll, events, 256, 100);
        for (int i = 0; i < count; ++i) {
            const std::size_t index = events[i].data.u64;
            if (!load.connections[index]->advance(memory)) continue;
            ++messages;
            if (handshakes) load.open(index);
            load.connections[index]->advance(memory);  // the next one
        }
    }
    const double secs = static_cast<double>(bench::now_ns() - start) / 1e9;
    emit(options, handshakes ? "TLS handshakes" : "TLS echo", static_cast<double>(messages) / secs,
         handshakes ? "1/s" : "msg/s");
    std::fflush(stdout);
    std::_Exit(0);
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
