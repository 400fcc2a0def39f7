// SPDX-License-Identifier: MIT
//
// G19: memory is flat (E9, E11, L3). Server and clients in one process: requests over kept
// connections, connections with one request each, TLS handshakes, requests cancelled at random
// moments. What the second half of each adds to memory, and what all of it leaves of descriptors
// and tasks. Then again, shorter, in a control group with 64 MiB.
#include <asyncio/asyncio.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <filesystem>
#include <fstream>
#include <random>
#include <tests/proof/figure.hpp>
#include <tests/proof/machine.hpp>

#include <sys/wait.h>
#include <unistd.h>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

constexpr int kClients = 50;
constexpr std::size_t kMostGrowth = 1u << 20;  // bytes, in the second half

Coro<> echo_until_it_breaks(StreamReader& reader, StreamWriter& writer) {
    try {
        co_await net_tests::echo(reader, writer);
    } catch (const std::system_error&) {
        writer.abort();
    }
}

const ssl::SSLContext& server_context() {
    static const ssl::SSLContext context = tls_tests::server_context();
    return context;
}
const ssl::SSLContext& client_context() {
    static const ssl::SSLContext context = tls_tests::client_context();
    return context;
}

Coro<> one_request(StreamReader& reader, StreamWriter& writer) {
    writer.write("0123456789012345678901234567890123456789012345678901234567890123");
    co_await writer.drain();
    const std::string answer = co_await reader.readexactly(64);
    if (answer.size() != 64) throw std::logic_error("a short answer");
}

Coro<> requests(std::uint16_t port, int count) {
    auto [reader, writer] = co_await open_connection("127.0.0.1", port);
    for (int i = 0; i < count; ++i) co_await one_request(reader, writer);
    writer.close();
    co_await writer.wait_closed();
}

/// The connection is reset at the end: ports in TIME_WAIT would run out.
Coro<> connections(std::uint16_t port, int count, const ssl::SSLContext* context) {
    for (int i = 0; i < count; ++i) {
        ConnectOptions options;
        options.ssl = context;
        if (context != nullptr) options.server_hostname = "localhost";
        auto [reader, writer] = co_await open_connection("127.0.0.1", port, options);
        co_await one_request(reader, writer);
        os::set_option(writer.transport()->fileno(), os::SocketOption::linger_reset, 1);
        writer.abort();
        co_await writer.wait_closed();
    }
}

Coro<> plain_connections(std::uint16_t port, int count) {
    co_await connections(port, count, nullptr);
}
Coro<> secure_connections(std::uint16_t port, int count) {
    co_await connections(port, count, &client_context());
}

Coro<> a_connection(std::uint16_t port) {
    auto [reader, writer] = co_await open_connection("127.0.0.1", port);
    os::set_option(writer.transport()->fileno(), os::SocketOption::linger_reset, 1);
    for (int i = 0; i < 3; ++i) co_await one_request(reader, writer);
}

Coro<> cancelled_requests(std::uint16_t port, int count) {
    std::minstd_rand random(static_cast<unsigned>(count));
    for (int i = 0; i < count; ++i) {
        const Task<> task = create_task(a_connection(port));
        for (unsigned turns = random() % 12; turns > 0; --turns) co_await sleep(0s);
        task.cancel();
        (void)co_await as_outcome(task);
    }
}

using Work = Coro<> (*)(std::uint16_t port, int count);

Coro<> half(Work work, std::uint16_t port, int count) {
    std::vector<Coro<>> clients;
    const int each = std::max(1, count / kClients);
    for (int i = 0; i < kClients; ++i) clients.push_back(work(port, each));
    co_await gather(std::move(clients));
    for (int i = 0; i < 1000 && all_tasks().size() > 1; ++i) co_await sleep(1ms);  // handlers
}

/// Both halves; how many bytes the second one added, and how many tasks there are then.
Coro<std::pair<double, std::size_t>> growth(Work work, int count, bool secure) {
    ServerOptions options;
    options.backlog = 1024;
    if (secure) options.ssl = &server_context();
    Server server = co_await start_server(echo_until_it_breaks, "127.0.0.1", 0, options);
    const std::uint16_t port = net_tests::port_of(server);
    co_await half(work, port, count / 2);
    const std::size_t middle = proof::resident_bytes();
    co_await half(work, port, count / 2);
    const std::size_t after = proof::resident_bytes();
    server.close();
    co_await server.wait_closed();
    co_return std::pair<double, std::size_t>(
        static_cast<double>(after) - static_cast<double>(middle), all_tasks().size() - 1);
}

struct Part {
    const char* name;
    Work work;
    bool secure;
    proof::Scaled<int> counts;
};

constexpr Part kParts[] = {
    {"requests", requests, false, {20'000, 2'000'000, 10'000'000}},
    {"connections", plain_connections, false, {2'000, 100'000, 500'000}},
    {"TLS handshakes", secure_connections, true, {200, 20'000, 100'000}},
    {"cancelled requests", cancelled_requests, false, {2'000, 100'000, 500'000}},
};

void perform(proof::Goal& goal, int divisor, const std::string& where) {
    for (const Part& part : kParts) {
        if (!goal.wants(part.name)) continue;
        const int count = std::max(goal.scaled(part.counts) / divisor, 4 * kClients);
        const int before = proof::open_descriptors();
        const auto [bytes, tasks] = asyncio::run(growth(part.work, count, part.secure));
        const std::string text = std::to_string(count) + " " + part.name + where;
        goal.figure(bytes / 1024, {.at_most = static_cast<double>(kMostGrowth) / 1024},
                    text + ", the second half added {} KiB");
        const int left = proof::open_descriptors() - before + static_cast<int>(tasks);
        goal.figure(left, {.at_most = 0}, text + ", {} descriptors and tasks left");
    }
}

/// A memory control group of 64 MiB, while it lives; of version 1 or 2, as the system has them.
class SmallGroup {
  public:
    SmallGroup() {
        made_ = make("/sys/fs/cgroup/memory", "memory.limit_in_bytes") ||
                make("/sys/fs/cgroup", "memory.max");
    }
    ~SmallGroup() {
        if (made_) ::rmdir(path_.c_str());
    }
    SmallGroup(const SmallGroup&) = delete;
    SmallGroup& operator=(const SmallGroup&) = delete;

    bool enter() const {
        std::ofstream file(path_ + "/cgroup.procs");
        file << ::getpid();
        return made_ && static_cast<bool>(file.flush());
    }
    bool made() const { return made_; }

  private:
    bool make(const std::string& parent, const char* limit) {
        std::error_code error;
        if (!std::filesystem::exists(parent + "/cgroup.procs", error)) return false;
        path_ = parent + "/asyncio-proof-" + std::to_string(::getpid());
        if (!std::filesystem::create_directory(path_, error)) return false;
        std::ofstream file(path_ + "/" + limit);  // version 2 may not give its children memory's
        file << (64u << 20);
        if (file.flush()) return true;
        ::rmdir(path_.c_str());
        return false;
    }

    std::string path_;
    bool made_ = false;
};

void perform_in_little_memory(proof::Goal& goal) {
    const SmallGroup group;
    if (!group.made()) return goal.note("skipped: no control group of memory can be made");
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        if (!group.enter()) ::_exit(77);
        perform(goal, 10, " in 64 MiB");
        std::fflush(nullptr);
        ::_exit(goal.result());
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        return goal.note("skipped: the control group cannot be entered");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        goal.line(false,
                  "in a control group of 64 MiB it ended with status " + std::to_string(status));
}

}  // namespace

int main(int argc, char** argv) {
    proof::Goal goal("G19 flat memory", argc, argv);
    const asyncio::testing::LogLines quiet;  // of writers that are dropped
    perform(goal, 1, "");
    if (!goal.slice()) perform_in_little_memory(goal);
    return goal.result();
}
