// SPDX-License-Identifier: MIT
//
// Data in order over streams that break, thousands of times over on a bad network:
//
//   pipeline  producer, worker and consumer, connected by streams that break, with acknowledgements
//   bytes     streams both ways, every read and write of which may be cancelled
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/simulation.hpp>

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "simulated_world_fixture_test.hpp"

namespace asyncio {
namespace {

using namespace simulated_worlds;

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
