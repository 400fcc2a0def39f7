// SPDX-License-Identifier: MIT
//
// Servers and their clients, thousands of times over on a bad network:
//
//   chat     the example's server, and clients that come, talk, are cut off and come again
//   retries  requests with timeouts over a service that crashes and comes back
//   groups   a server that answers with a TaskGroup for each request, and clients that do not wait
//
// When the network is good again everything ends; no task, descriptor or object of a connection is
// left.
#include <asyncio/testing/simulation.hpp>

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "simulated_world_fixture_test.hpp"

// The example, all of it; its main() is a function like any other here.
#define main chat_server_main
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type"
#include "../examples/chat_server.cpp"
#pragma GCC diagnostic pop
#undef main

namespace asyncio {
namespace {

using namespace simulated_worlds;

struct Counted {
    explicit Counted(int& count) : count_(count) { ++count_; }
    Counted(const Counted&) = delete;
    ~Counted() { --count_; }

  private:
    int& count_;
};

// --- chat
// ------------------------------------------------------------------------------------------

constexpr int kSayings = 12;

/// Checks what one connection hears: from each speaker, numbers without a gap.
class Hearing {
  public:
    void hear(const std::string& line) {
        const std::size_t colon = line.find(": ");
        if (line.starts_with("-- ") || colon == std::string::npos) return;
        const std::string who = line.substr(0, colon);
        const int number = std::stoi(line.substr(colon + 2));
        const auto [last, is_first] = last_.try_emplace(who, number);
        if (!is_first) {
            EXPECT_EQ(number, last->second + 1) << who;
        }
        last->second = number;
    }

  private:
    std::map<std::string, int> last_;
};

Coro<> listen_to_all(StreamReader& reader, bool& said_goodbye) {
    Hearing hearing;
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        if (line->starts_with("-- goodbye")) said_goodbye = true;
        if (line->ends_with("\n")) hearing.hear(std::string(*line));
    }
}

Coro<> talk(StreamWriter& writer, std::string name, Duration pause) {
    writer.write("/nick " + name + "\n");
    for (int i = 0; i < kSayings; ++i) {
        writer.write(std::to_string(i) + "\n");
        co_await writer.drain();
        co_await sleep(pause);
    }
    writer.write("/quit\n");
}

/// One visit; true if it was heard to the end.
Coro<bool> visit(std::string name, Duration pause) {
    auto [reader, writer] = co_await wait_for(open_connection("server", 8888), 20s);
    StreamReader& in = reader;
    StreamWriter& out = writer;
    bool said_goodbye = false;
    const auto both = [&](TaskGroup& group) -> Coro<> {
        (void)group.create_task(listen_to_all(in, said_goodbye));
        co_await talk(out, name, pause);
    };
    const bool heard = co_await survived(wait_for(with(TaskGroup(), both), 90s));
    if (!heard) writer.abort();
    writer.close();
    const bool closed = co_await survived(writer.wait_closed());
    co_return heard&& closed&& said_goodbye;
}

Coro<> try_to_visit(std::string name, Duration pause, bool& done) {
    done = co_await visit(name, pause);
}

Coro<> chatter(int number, Duration pause) {
    bool done = false;
    for (int attempt = 0; !done; ++attempt) {
        const std::string name = "c" + std::to_string(number) + "-" + std::to_string(attempt);
        (void)co_await survived(try_to_visit(name, pause, done));
        if (!done) co_await sleep(1s);
    }
    EXPECT_EQ(all_tasks().size(), 2U);  // this one, and who runs it
}

Coro<> chat_world(Simulation& sim) {
    Room room;
    auto& server = sim.host("server", [&room]() -> Coro<> {
        const auto handler = [&room](StreamReader& reader, StreamWriter& writer) -> Coro<> {
            co_await converse(room, reader, writer);
        };
        Server listening = co_await start_server(handler, "", 8888, {.limit = kMaxLine});
        co_await listening.serve_forever();
    });
    std::vector<testing::SimulatedHost*> clients;
    const int count = sim.random().between(2, 5);
    for (int i = 0; i < count; ++i) {
        const Duration pause = sim.random().between(Duration(0), Duration(2s));
        clients.push_back(&sim.host("client-" + std::to_string(i),
                                    [i, pause]() -> Coro<> { co_await chatter(i, pause); }));
    }
    for (testing::SimulatedHost* client : clients) co_await client->finished();
    co_await sleep(90s);  // connections that were given up are noticed
    EXPECT_TRUE(room.empty());
    server.stop();
    co_await server.finished();
}

TEST(SimulatedWorlds, chat) { tell("chat", chat_world); }

// --- retries
// ---------------------------------------------------------------------------------------

constexpr int kRequests = 15;

Coro<> answer_lines(StreamReader& reader, StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        if (!line->ends_with("\n")) break;
        writer.write("re: ");
        writer.write(*line);
        co_await writer.drain();
    }
}

Coro<> answer(StreamReader& reader, StreamWriter& writer) {
    const bool whole = co_await survived(answer_lines(reader, writer));
    if (!whole) writer.abort();
}

Coro<> answering_service() {
    Server server = co_await start_server(answer, "", 7000);
    co_await server.serve_forever();
}

/// Ask what is left to ask, over one connection, for as long as that lasts.
Coro<> ask_all(int& next) {
    auto [reader, writer] = co_await open_connection("service", 7000);
    while (next < kRequests) {
        const std::string request = "request " + std::to_string(next) + "\n";
        writer.write(request);
        const std::string reply = co_await wait_for(reader.readline(), 2s);
        if (reply.empty()) break;
        EXPECT_EQ(reply, "re: " + request);
        ++next;
    }
    writer.close();
    co_await writer.wait_closed();
}

Coro<> asking_client() {
    Duration pause = 100ms;
    for (int next = 0; next < kRequests;) {
        const int before = next;
        (void)co_await survived(wait_for(ask_all(next), 30s));
        pause = next > before ? Duration(100ms) : std::min<Duration>(pause * 2, 5s);
        co_await sleep(pause);
    }
    EXPECT_EQ(all_tasks().size(), 2U);
}

Coro<> retries_world(Simulation& sim) {
    auto& service = sim.host("service", answering_service);
    std::vector<testing::SimulatedHost*> clients;
    const int count = sim.random().between(1, 4);
    for (int i = 0; i < count; ++i)
        clients.push_back(&sim.host("client-" + std::to_string(i), asking_client));
    const int crashes = sim.random().between(0, 3);
    for (int i = 0; i < crashes; ++i) {
        co_await sleep(sim.random().between(Duration(0), Duration(8s)));
        service.crash();
        co_await sleep(sim.random().between(Duration(0), Duration(3s)));
        service.restart();
    }
    for (testing::SimulatedHost* client : clients) co_await client->finished();
}

TEST(SimulatedWorlds, retries) { tell("retries", retries_world); }

// --- groups
// ----------------------------------------------------------------------------------------

/// What a server has at work now.
struct Gauge {
    int connections = 0;
    int parts = 0;
    int locks = 0;
};

Coro<int> part_of_an_answer(Gauge& gauge, Semaphore& slots, int number, Duration pause) {
    const Counted counted(gauge.parts);
    const auto slot = co_await slots.scoped();
    const Counted holding(gauge.locks);
    co_await sleep(pause);
    if (number % 13 == 12) throw std::runtime_error("an unlucky part");
    co_return number;
}

/// The sum of its parts, made at the same time; "failed" if one failed, "slow" if it took long.
Coro<std::string> answer_with_a_group(Gauge& gauge, Semaphore& slots, int request) {
    int sum = 0;
    const auto parts = [&](TaskGroup& group) -> Coro<> {
        std::vector<Task<int>> tasks;
        for (int i = 0; i < 4; ++i) {
            const Duration pause = std::chrono::milliseconds((request * 37 + i * 101) % 400);
            tasks.push_back(group.create_task(part_of_an_answer(gauge, slots, request + i, pause)));
        }
        for (Task<int>& task : tasks) sum += co_await task;
    };
    Outcome<void> outcome = co_await as_outcome(wait_for(with(TaskGroup(), parts), 500ms));
    if (outcome) co_return std::to_string(sum) + "\n";
    if (outcome.cancelled()) outcome.value();
    co_return describe(outcome.error()).find("Timeout") != std::string::npos ? "slow\n"
                                                                             : "failed\n";
}

Coro<> answer_requests(Gauge& gauge, Semaphore& slots, StreamReader& reader, StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        if (!line->ends_with("\n")) break;
        const std::string reply =
            co_await answer_with_a_group(gauge, slots, std::stoi(std::string(*line)));
        writer.write(reply);
        co_await writer.drain();
    }
}

Coro<> group_server(Gauge& gauge) {
    Semaphore slots(6);
    const auto handler = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
        const Counted counted(gauge.connections);
        // Whoever goes away in the middle of a request is not answered.
        const bool whole =
            co_await survived(wait_for(answer_requests(gauge, slots, reader, writer), 40s));
        if (!whole) writer.abort();
    };
    Server server = co_await start_server(handler, "", 7003);
    co_await server.serve_forever();
}

/// One request; gives up after `patience`, in the middle of it.
Coro<> request_once(int number, Duration patience, bool& answered) {
    auto [reader, writer] = co_await wait_for(open_connection("server", 7003), 10s);
    writer.write(std::to_string(number) + "\n");
    StreamReader& in = reader;
    Outcome<std::string> reply = co_await as_outcome(wait_for(in.readuntil("\n"), patience));
    if (reply) {
        const int expected = 4 * number + 6;
        EXPECT_TRUE(*reply == "slow\n" || *reply == "failed\n" ||
                    *reply == std::to_string(expected) + "\n")
            << *reply;
        answered = true;
    }
    writer.abort();
    co_await writer.wait_closed();
}

Coro<> impatient_client(int first, Duration patience) {
    for (int i = 0; i < 12; ++i) {
        bool answered = false;
        (void)co_await survived(request_once(first + i, patience, answered));
        co_await sleep(100ms);
    }
    for (bool answered = false; !answered;) {  // the last one waits
        (void)co_await survived(request_once(first, 30s, answered));
        co_await sleep(1s);
    }
    EXPECT_EQ(all_tasks().size(), 2U);
}

Coro<> groups_world(Simulation& sim) {
    Gauge gauge;
    auto& server = sim.host("server", [&]() -> Coro<> { co_await group_server(gauge); });
    std::vector<testing::SimulatedHost*> clients;
    const int count = sim.random().between(2, 5);
    for (int i = 0; i < count; ++i) {
        const Duration patience = sim.random().between(Duration(1ms), Duration(1s));
        clients.push_back(&sim.host("client-" + std::to_string(i), [i, patience]() -> Coro<> {
            co_await impatient_client(i * 100, patience);
        }));
    }
    for (testing::SimulatedHost* client : clients) co_await client->finished();
    co_await sleep(90s);
    EXPECT_EQ(gauge.connections, 0);
    EXPECT_EQ(gauge.parts, 0);
    EXPECT_EQ(gauge.locks, 0);
    server.stop();
    co_await server.finished();
    EXPECT_EQ(gauge.connections + gauge.parts + gauge.locks, 0);
}

TEST(SimulatedWorlds, groups) { tell("groups", groups_world); }

}  // namespace
}  // namespace asyncio
