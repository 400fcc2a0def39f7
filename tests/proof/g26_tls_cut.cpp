// SPDX-License-Identifier: MIT
//
// G26: a TLS exchange over sockets, through a proxy that cuts it (FIN), resets it (RST), spoils a
// byte or injects an alert after every byte of either direction (E6, E7, E10, E12). Neither side
// may take what was cut for a clean end, nobody hangs, nothing is left. The side that is attacked
// reads to the end, which the other one makes: who says goodbye first does not wait for more than
// an end. tls/every_byte_test.cpp does the same in memory.
#include <asyncio/asyncio.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/tls/tls_fixture_test.hpp>

#include <array>
#include <tests/proof/figure.hpp>
#include <tests/proof/machine.hpp>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view kRequest = "GET the answer\n";
constexpr std::string_view kAnswer = "the answer is 42\n";
constexpr Duration kPatience = 5s;  // a second is what it takes at most on an idle machine

enum class Attack : std::uint8_t { none, cut, reset, spoil, alert };
constexpr std::array<std::pair<Attack, const char*>, 4> kAttacks = {{{Attack::cut, "cut"},
                                                                     {Attack::reset, "reset"},
                                                                     {Attack::spoil, "spoilt"},
                                                                     {Attack::alert, "alert"}}};

struct Point {
    Attack attack = Attack::none;
    bool to_server = false;  // the direction; then the client ends the connection
    std::size_t at = 0;      // bytes that pass before
};

struct Side {
    bool clean = false;  // everything there, and the peer's goodbye
    bool hung = false;
};

struct Result {
    Side client;
    Side server;
    std::array<std::string, 2> passed;  // to the client, to the server
};

/// Where the first encrypted record of a direction begins.
std::size_t first_encrypted(std::string_view records) {
    constexpr unsigned char kApplicationData = 0x17;
    constexpr std::size_t kHeader = 5;
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(records[at]); };
    std::size_t at = 0;
    while (at + kHeader <= records.size() && byte(at) != kApplicationData)
        at += kHeader + std::size_t{byte(at + 3)} * 256 + byte(at + 4);
    return at;
}

// --- the proxy ----------------------------------------------------------------------------------

void reset_connection(StreamWriter& writer) {
    if (writer.transport() != nullptr && !writer.is_closing())
        os::set_option(writer.transport()->fileno(), os::SocketOption::linger_reset, 1);
    writer.abort();
}

/// Carry bytes until the end, or to the point of the attack.
Coro<> carry(StreamReader& from, StreamWriter& to, StreamWriter& back, Point point, bool mine,
             std::string& passed) {
    for (;;) {
        std::string data = co_await from.read(65536);
        if (data.empty()) {
            to.write_eof();
            co_return;
        }
        const std::size_t before = passed.size();
        passed += data;
        if (!mine || point.attack == Attack::none || passed.size() <= point.at) {
            to.write(data);
            co_await to.drain();
            continue;
        }
        const std::size_t good = point.at > before ? point.at - before : 0;
        if (point.attack == Attack::spoil) {
            if (point.at >= before) data[good] = static_cast<char>(data[good] ^ 0x55);
            to.write(data);
            co_await to.drain();
            continue;
        }
        to.write(std::string_view(data).substr(0, good));
        if (point.attack == Attack::alert)
            to.write(std::string_view("\x15\x03\x03\x00\x02\x02\x50", 7));
        co_await to.drain();
        if (point.attack == Attack::reset) {
            reset_connection(to);
            reset_connection(back);
        } else {
            to.close();
            back.abort();
        }
        co_return;
    }
}

Coro<> ignoring_errors(Coro<> work) {
    const Outcome<void> outcome = co_await as_outcome(std::move(work));
    if (outcome.cancelled()) std::rethrow_exception(outcome.error());
}

struct Proxy {
    std::uint16_t server_port;
    Point point;
    Result& result;

    Coro<> operator()(StreamReader& reader, StreamWriter& writer) {
        auto server = co_await open_connection("127.0.0.1", server_port);
        StreamReader& from_server = server.first;
        StreamWriter& to_server = server.second;
        std::vector<Coro<>> both;
        both.push_back(ignoring_errors(
            carry(reader, to_server, writer, point, point.to_server, result.passed[1])));
        both.push_back(ignoring_errors(
            carry(from_server, writer, to_server, point, !point.to_server, result.passed[0])));
        co_await gather(std::move(both));
        reset_connection(to_server);
        writer.abort();
    }
};

// --- the two sides ------------------------------------------------------------------------------

Coro<> serve(StreamReader& reader, StreamWriter& writer, bool to_the_end, Side& side) {
    const std::string request = co_await reader.readline();
    if (request != kRequest) throw std::runtime_error("truncated request");
    writer.write(kAnswer);
    if (to_the_end) {
        const std::string more = co_await reader.read();
        if (!more.empty()) throw std::runtime_error("more than the request");
        side.clean = true;
    }
    writer.close();
    co_await writer.wait_closed();
    side.clean = true;
}

/// True if it ended in time, in whatever way.
Coro<bool> in_time(Coro<> work) {
    const Task<> task = create_task(std::move(work));
    const std::vector<Task<>> tasks(1, task);
    (void)co_await wait(tasks, {.timeout = kPatience});
    const bool done = task.done();
    task.cancel();
    (void)co_await as_outcome(task);
    co_return done;
}

struct Handler {
    Point point;
    Result& result;
    Coro<> operator()(StreamReader& reader, StreamWriter& writer) {
        const bool done = co_await in_time(serve(reader, writer, point.to_server, result.server));
        result.server.hung = !done;
        writer.abort();
    }
};

Coro<> ask(std::uint16_t port, const ssl::SSLContext& context, bool to_the_end, Side& side) {
    auto [reader, writer] = co_await open_connection(
        "127.0.0.1", port, {.ssl = &context, .server_hostname = "localhost"});
    writer.write(kRequest);
    std::string answer;
    if (to_the_end)
        answer = co_await reader.read();
    else
        answer = co_await reader.readline();
    if (answer != kAnswer) throw std::runtime_error("truncated answer");
    side.clean = true;
    writer.close();
    co_await writer.wait_closed();
}

Coro<> end(const Server& server, Result& result) {
    server.close();
    const bool closed = co_await in_time(server.wait_closed());
    if (!closed) result.server.hung = true;
    server.abort_clients();
}

/// Each client is a new one: it has no session to resume.
Coro<Result> exchange(const ssl::SSLContext& for_server, Point point) {
    const ssl::SSLContext for_client = tls_tests::client_context();
    Result result;
    const Handler handler{point, result};
    Server server = co_await start_server(handler, "127.0.0.1", 0, {.ssl = &for_server});
    const Proxy between{net_tests::port_of(server), point, result};
    Server proxy = co_await start_server(between, "127.0.0.1", 0);
    const bool done = co_await in_time(
        ask(net_tests::port_of(proxy), for_client, !point.to_server, result.client));
    result.client.hung = !done;
    co_await end(proxy, result);
    co_await end(server, result);
    co_return result;
}

class EveryByte {
  public:
    explicit EveryByte(proof::Goal& goal) : goal_(goal) {}

    Coro<> run() {
        get_running_loop().set_exception_handler([](EventLoop&, const ExceptionContext&) {});
        for (const bool to_server : {false, true}) co_await attack_one_way(to_server);
    }

    std::uint64_t points = 0;
    std::uint64_t faults = 0;

  private:
    Coro<> attack_one_way(bool to_server) {
        const Result whole = co_await exchange(for_server_, Point{Attack::none, to_server, 0});
        if (!whole.client.clean || !whole.server.clean) {
            goal_.line(false, "an exchange that nobody attacks does not end cleanly");
            co_return;
        }
        const std::size_t step = goal_.scaled<std::size_t>({97, 2, 1});
        for (const auto& [attack, name] : kAttacks)
            for (std::size_t at = 0; at < whole.passed[to_server ? 1 : 0].size(); at += step)
                co_await attack_at(Point{attack, to_server, at}, name);
    }

    Coro<> attack_at(Point point, const char* name) {
        ++points;
        const Result result = co_await exchange(for_server_, point);
        // A cut behind the last byte is none; and the version in the header of the first records
        // means nothing in TLS 1.3.
        const std::string& passed = result.passed[point.to_server ? 1 : 0];
        const bool hit = passed.size() > point.at &&
                         (point.attack != Attack::spoil || point.at >= first_encrypted(passed));
        const bool fooled = hit && (point.to_server ? result.server : result.client).clean;
        // A record whose length was spoilt has not come yet: only time limits end that.
        const bool hung =
            point.attack != Attack::spoil && (result.client.hung || result.server.hung);
        if (!fooled && !hung) co_return;
        if (++faults > 20) co_return;
        goal_.note(std::string(name) + " after " + std::to_string(point.at) + " bytes to the " +
                   (point.to_server ? "server" : "client") + ": " +
                   (fooled               ? "taken for a clean end"
                    : result.client.hung ? "the client hangs"
                                         : "the server hangs") +
                   " (" + std::to_string(result.passed[0].size()) +
                   " bytes passed to the client, " + std::to_string(result.passed[1].size()) +
                   " to the server)");
    }

    proof::Goal& goal_;
    const ssl::SSLContext for_server_ = tls_tests::server_context();
};

}  // namespace

int main(int argc, char** argv) {
    proof::Goal goal("G26 TLS cut", argc, argv);
    const asyncio::testing::LogLines quiet;
    EveryByte every_byte(goal);
    {
        const ssl::SSLContext first = tls_tests::server_context();  // what a first time opens
    }
    const int before = proof::open_descriptors();
    asyncio::run(every_byte.run());
    goal.figure(static_cast<double>(every_byte.faults), {.at_most = 0},
                std::to_string(every_byte.points) +
                    " points of an exchange over sockets cut, reset, spoilt or alerted, {} clean "
                    "ends or hangs");
    goal.figure(proof::open_descriptors() - before, {.at_most = 0}, "{} descriptors left");
    return goal.result();
}
