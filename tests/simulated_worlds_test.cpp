// SPDX-License-Identifier: MIT
//
// Whole programs of several hosts on a bad network, thousands of times over
// (testing/simulation.hpp):
//
//   chat      the example's server, and clients that come, talk, are cut off and come again
//   retries   requests with timeouts over a service that crashes and comes back
//   pipeline  producer, worker and consumer, connected by streams that break, with acknowledgements
//   groups    a server that answers with a TaskGroup for each request, and clients that do not wait
//   bytes     streams both ways, every read and write of which may be cancelled
//
// What must hold in each: on every connection nothing is lost, doubled or out of order; when the
// network is good again everything ends; no task, descriptor or object of a connection is left.
//
// ASYNCIO_TEST_SCALE=20 makes ten thousand worlds of the five hundred; ASYNCIO_SEED=N looks at one.
#include <asyncio/testing/simulation.hpp>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

// The example, all of it; its main() is a function like any other here.
#define main chat_server_main
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wreturn-type"
#include "../examples/chat_server.cpp"
#pragma GCC diagnostic pop
#undef main

namespace asyncio {
namespace {

using testing::Simulation;
using testing::SimulationResult;

constexpr std::uint64_t kWorlds = 100;         // of each program
constexpr std::uint64_t kFewestEvents = 2000;  // of a world, on the average

/// Run `world` with every seed, and say how much happened.
template <class World>
void tell(const char* what, World world) {
    const std::uint64_t worlds = testing::seeds_to_try(kWorlds).size();
    const SimulationResult sum = testing::simulate_seeds(kWorlds, world);
    const auto hours = std::chrono::duration_cast<std::chrono::hours>(sum.took).count();
    const std::string figure = std::to_string(worlds) + " seeds, " + std::to_string(sum.events) +
                               " events, " + std::to_string(hours) + " h of virtual time";
    std::printf("%s: %s\n", what, figure.c_str());
    ::testing::Test::RecordProperty("figure", figure);
    EXPECT_GE(sum.events, worlds * kFewestEvents);
}

/// What a broken connection throws: not our business here.
template <class A>
Coro<bool> survived(A awaitable) {
    Outcome<void> outcome = co_await as_outcome(std::move(awaitable));
    if (outcome.cancelled()) outcome.value();
    if (!outcome) {
        try {
            std::rethrow_exception(outcome.error());
        } catch (const std::system_error&) {
        } catch (const IncompleteReadError&) {
        } catch (const ExceptionGroup& group) {
            if (group.subgroup<std::logic_error>()) throw;
        }
        co_return false;
    }
    co_return true;
}

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

// --- pipeline
// --------------------------------------------------------------------------------------

constexpr int kItems = 40;

/// Sends what its receiver does not have yet, over one connection. The receiver says how many it
/// has when it is connected, and after each item.
class Sender {
  public:
    Sender(std::string host, std::uint16_t port) : host_(std::move(host)), port_(port) {}

    Coro<> send_all(Queue<int>& source) {
        while (acknowledged_ < kItems) {
            (void)co_await survived(wait_for(send_some(source), 20s));
            co_await sleep(500ms);
        }
    }

  private:
    Coro<> send_some(Queue<int>& source) {
        auto [reader, writer] = co_await open_connection(host_, port_);
        acknowledged_ = std::stoi(co_await reader.readuntil("\n"));
        while (acknowledged_ < kItems) {
            while (static_cast<int>(items_.size()) <= acknowledged_) {
                const int item = co_await source.get();
                items_.push_back(item);
            }
            writer.write(std::to_string(acknowledged_) + " " +
                         std::to_string(items_[static_cast<std::size_t>(acknowledged_)]) + "\n");
            const std::string reply = co_await reader.readuntil("\n");
            EXPECT_EQ(std::stoi(reply), acknowledged_ + 1);
            acknowledged_ = std::stoi(reply);
        }
        writer.close();
        co_await writer.wait_closed();
    }

    const std::string host_;
    const std::uint16_t port_;
    std::vector<int> items_;
    int acknowledged_ = 0;
};

/// Takes items in order, each once, whatever the connections do.
class Receiver {
  public:
    explicit Receiver(Queue<int>& sink) : sink_(sink) {}

    Coro<> receive(StreamReader& reader, StreamWriter& writer) {
        const bool whole = co_await survived(take_all(reader, writer));
        if (!whole) writer.abort();
    }
    bool has_all() const noexcept { return taken_ == kItems; }

  private:
    Coro<> take_all(StreamReader& reader, StreamWriter& writer) {
        const auto held = co_await taking_.scoped();  // an old connection may not have ended yet
        writer.write(std::to_string(taken_) + "\n");
        while (taken_ < kItems) {
            const std::string line = co_await wait_for(reader.readuntil("\n"), 10s);
            EXPECT_EQ(std::stoi(line), taken_);
            co_await sink_.put(std::stoi(line.substr(line.find(' ') + 1)));
            writer.write(std::to_string(++taken_) + "\n");
            co_await writer.drain();
        }
    }

    Queue<int>& sink_;
    Lock taking_;
    int taken_ = 0;
};

/// A server around it, until it has all.
Coro<> receive_all(Receiver& receiver, std::uint16_t port) {
    const auto handler = [&receiver](StreamReader& reader, StreamWriter& writer) -> Coro<> {
        co_await receiver.receive(reader, writer);
    };
    Server server = co_await start_server(handler, "", port);
    while (!receiver.has_all()) co_await sleep(1s);
    co_await sleep(60s);  // its sender may have to ask once more
    server.close();
    server.abort_clients();
    co_await server.wait_closed();
}

Coro<> produce() {
    Queue<int> items(4);
    Sender sender("worker", 7001);
    const auto body = [&](TaskGroup& group) -> Coro<> {
        (void)group.create_task(sender.send_all(items));
        for (int i = 0; i < kItems; ++i) co_await items.put(i);
    };
    co_await with(TaskGroup(), body);
}

Coro<> work() {
    Queue<int> in(4);
    Queue<int> out(4);
    Receiver receiver(in);
    Sender sender("consumer", 7002);
    const auto body = [&](TaskGroup& group) -> Coro<> {
        (void)group.create_task(receive_all(receiver, 7001));
        (void)group.create_task(sender.send_all(out));
        for (int i = 0; i < kItems; ++i) {
            const int item = co_await in.get();
            co_await sleep(10ms);
            co_await out.put(item * item);
        }
    };
    co_await with(TaskGroup(), body);
}

Coro<> consume(std::vector<int>& results) {
    Queue<int> in(4);
    Receiver receiver(in);
    const auto body = [&](TaskGroup& group) -> Coro<> {
        (void)group.create_task(receive_all(receiver, 7002));
        for (int i = 0; i < kItems; ++i) {
            const int item = co_await in.get();
            results.push_back(item);
        }
    };
    co_await with(TaskGroup(), body);
}

Coro<> pipeline_world(Simulation& sim) {
    std::vector<int> results;
    auto& producer = sim.host("producer", produce);
    auto& worker = sim.host("worker", work);
    auto& consumer = sim.host("consumer", [&]() -> Coro<> { co_await consume(results); });
    co_await producer.finished();
    co_await worker.finished();
    co_await consumer.finished();
    std::vector<int> squares;
    for (int i = 0; i < kItems; ++i) squares.push_back(i * i);
    EXPECT_EQ(results, squares);
}

TEST(SimulatedWorlds, pipeline) { tell("pipeline", pipeline_world); }

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

// --- bytes
// -----------------------------------------------------------------------------------------

// Both sides send a known stream of bytes and read the other's, and cancel what they wait for again
// and again: a byte that a cancelled read or write lost or doubled would be seen.

constexpr std::size_t kBytes = 60'000;
constexpr std::size_t kLimit = 1000;  // so that reading is paused and resumed all the time

char byte_at(std::size_t position, int side) {
    return static_cast<char>(testing::scramble(position * 2 + static_cast<std::size_t>(side)));
}

/// How patient somebody is this time; hardly ever very.
Duration some_patience(testing::Random& random) {
    return random.chance(0.1) ? Duration(10s) : random.between(Duration(0), Duration(20ms));
}

Coro<> send_bytes(StreamWriter& writer, testing::Random random, int side) {
    for (std::size_t sent = 0; sent < kBytes;) {
        std::string chunk;
        for (auto left = 1 + random.below(8000); left > 0 && sent < kBytes; --left)
            chunk.push_back(byte_at(sent++, side));
        writer.write(chunk);
        const Outcome<void> drained =
            co_await as_outcome(wait_for(writer.drain(), some_patience(random)));
        if (!drained && writer.is_closing()) co_return;
    }
}

class Reading {
  public:
    Reading(StreamReader& reader, testing::Random random, int side)
        : reader_(reader), random_(random), side_(side) {}

    Coro<> read_all() {
        while (position_ < kBytes) {
            if (random_.chance(0.2)) co_await sleep(some_patience(random_) / 4);  // reading pauses
            Outcome<std::string> got =
                co_await as_outcome(wait_for(some(), some_patience(random_)));
            if (got) {
                if (got->empty()) co_return;  // the end, or a part that reads nothing
                check(*got);
                continue;
            }
            if (got.cancelled()) got.value();
            if (!co_await after(got.error())) co_return;
        }
        complete_ = true;
    }
    bool complete() const noexcept { return complete_; }

  private:
    Coro<std::string> some() {
        const std::size_t left = kBytes - position_;
        const auto size = 1 + random_.below(std::min<std::size_t>(left, 5000));
        if (random_.chance(0.5)) co_return co_await reader_.read(size);
        co_return co_await reader_.readexactly(size);
    }

    void check(std::string_view data) {
        for (const char byte : data) {
            if (byte != byte_at(position_, side_)) {
                ADD_FAILURE() << "a wrong byte at " << position_;
                position_ = kBytes;
                return;
            }
            ++position_;
        }
    }

    /// False if nothing more will come.
    Coro<bool> after(std::exception_ptr error) {
        try {
            std::rethrow_exception(error);
        } catch (const TimeoutError&) {
            co_return true;
        } catch (const IncompleteReadError& rest) {
            check(rest.partial());
        } catch (const std::system_error&) {
        }
        co_return false;
    }

    StreamReader& reader_;
    testing::Random random_;
    const int side_;
    std::size_t position_ = 0;
    bool complete_ = false;
};

/// True if all of the other's bytes came.
Coro<bool> exchange_bytes(StreamReader& reader, StreamWriter& writer, testing::Random random,
                          int side) {
    Reading reading(reader, random.branch(), 1 - side);
    const testing::Random for_sending = random.branch();
    const auto both = [&](TaskGroup& group) -> Coro<> {
        (void)group.create_task(send_bytes(writer, for_sending, side));
        co_await reading.read_all();
    };
    const bool whole = co_await survived(wait_for(with(TaskGroup(), both), 120s));
    if (!whole || !reading.complete()) writer.abort();
    writer.close();
    (void)co_await survived(writer.wait_closed());
    co_return whole&& reading.complete();
}

Coro<> bytes_server(testing::Random random) {
    const auto handler = [&random](StreamReader& reader, StreamWriter& writer) -> Coro<> {
        (void)co_await exchange_bytes(reader, writer, random.branch(), 0);
    };
    Server server = co_await start_server(handler, "", 7004, {.limit = kLimit});
    co_await server.serve_forever();
}

Coro<> connect_and_exchange(testing::Random random, bool& done) {
    auto [reader, writer] =
        co_await wait_for(open_connection("server", 7004, {.limit = kLimit}), 20s);
    done = co_await exchange_bytes(reader, writer, random, 1);
}

Coro<> bytes_client(testing::Random random) {
    for (bool done = false; !done;) {
        (void)co_await survived(connect_and_exchange(random.branch(), done));
        co_await sleep(1s);
    }
    EXPECT_EQ(all_tasks().size(), 2U);
}

Coro<> bytes_world(Simulation& sim) {
    const testing::Random random = sim.random().branch();
    auto& server = sim.host("server", [random]() -> Coro<> { co_await bytes_server(random); });
    const testing::Random other = sim.random().branch();
    auto& client = sim.host("client", [other]() -> Coro<> { co_await bytes_client(other); });
    co_await client.finished();
    co_await sleep(150s);
    server.stop();
    co_await server.finished();
}

TEST(SimulatedWorlds, bytes) { tell("bytes", bytes_world); }

}  // namespace
}  // namespace asyncio
