// SPDX-License-Identifier: MIT
//
// Storms of cancels against completions (catalogue A1-A3): whoever wins, nothing is lost and
// nothing leaks. Each storm demands that both sides won often.
#include <asyncio/net/create_server.hpp>
#include <asyncio/net/storm_fixture_test.hpp>

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace net_tests;

class AbortingProtocol final : public Protocol {
  public:
    explicit AbortingProtocol(int& calls) : calls_(calls) {}
    void connection_made(Transport& transport) override {
        ++calls_;
        transport.abort();
    }
    void data_received(std::span<const std::byte>) override {}

  private:
    int& calls_;
};

TEST(CancelStorm, accept_against_closing_the_server) {
    testing::run([]() -> Coro<> {
        const Storm storm;
        std::mt19937 random(1);
        int before = 0;
        int at_the_end = 0;
        for (int i = 0; i < storm.rounds; ++i) {
            int calls = 0;
            auto factory = [&calls] { return std::make_unique<AbortingProtocol>(calls); };
            Server server = co_await get_running_loop().create_server(factory, "127.0.0.1", 0);
            Task<> serving = create_task(server.serve_forever());
            co_await sleep(0s);
            Fd client = raw_connect(port_of(server));
            wait_until_arrived(client);
            co_await turns(random() % 3);
            ++(calls > 0 ? before : at_the_end);
            if (i % 2 == 0)
                server.close();
            else
                serving.cancel();
            (void)co_await as_outcome(serving);
            co_await server.wait_closed();
            EXPECT_EQ(calls, 1);  // who has connected is served, and once
            reset(client);
        }
        co_await turns(3);
        storm.check(at_the_end, before);
    });
}

TEST(CancelStorm, connect) {
    testing::run([]() -> Coro<> {
        const RawListener listener(4096);
        const Storm storm;
        std::mt19937 random(2);
        int connected = 0;
        int cancelled = 0;
        for (int i = 0; i < storm.rounds; ++i) {
            auto task = create_task(open_connection("127.0.0.1", listener.address.port()));
            co_await turns(random() % 4);
            task.cancel();
            auto outcome = co_await as_outcome(std::move(task));
            if (outcome) {
                ++connected;
                (*outcome).second.abort();
                co_await (*outcome).second.wait_closed();
            } else {
                EXPECT_TRUE(outcome.cancelled());
                ++cancelled;
            }
            for (Fd fd = listener.accept(); fd; fd = listener.accept()) reset(fd);
        }
        storm.check(cancelled, connected);
    });
}

TEST(CancelStorm, receive_against_arriving_data) {
    testing::run([]() -> Coro<> {
        const Storm storm;
        std::mt19937 random(3);
        int completed = 0;
        int cancelled = 0;
        {
            Peer peer(256);
            Sequence sequence;
            SequenceCheck check;
            std::vector<std::byte> memory(64);
            auto read = [&](unsigned kind) -> Coro<std::string> {
                if (kind == 0) co_return co_await peer.reader.read(1 + random() % 100);
                if (kind == 1) co_return co_await peer.reader.readexactly(1 + random() % 40);
                if (kind == 2) co_return co_await peer.reader.readuntil(" ");
                const std::size_t count = co_await peer.reader.read_into(memory);
                co_return std::string(reinterpret_cast<const char*>(memory.data()), count);
            };
            for (int i = 0; i < storm.rounds; ++i) {
                auto task = create_task(read(random() % 4));
                co_await turns(random() % 3);
                if (random() % 2 == 0) raw_send(peer.raw, sequence.next_chunk(random));
                co_await turns(random() % 3);
                task.cancel();
                const auto outcome = co_await as_outcome(std::move(task));
                if (outcome) check.take(*outcome);
                ++(outcome ? completed : cancelled);
            }
            os::shutdown(peer.raw.get(), os::Shutdown::write);
            const std::string rest = co_await peer.reader.read();
            check.take(rest);
            EXPECT_EQ(check.gaps, 0);
            EXPECT_EQ(check.next, sequence.next);
            EXPECT_EQ(check.rest, "");
            peer.writer.close();
            co_await peer.writer.wait_closed();
        }
        storm.check(cancelled, completed);
    });
}

TEST(CancelStorm, send_and_drain) {
    testing::run([]() -> Coro<> {
        const Storm storm;
        std::mt19937 random(4);
        int completed = 0;
        int cancelled = 0;
        {
            auto sockets = tcp_pair();
            os::set_option(sockets.first.get(), os::SocketOption::send_buffer, 4096);
            os::set_option(sockets.second.get(), os::SocketOption::receive_buffer, 4096);
            Peer peer(std::move(sockets), 256);
            peer.writer.set_write_buffer_limits(200, 50);
            Sequence sequence;
            SequenceCheck check;
            for (int i = 0; i < storm.rounds; ++i) {
                for (int n = 0; n < 4; ++n) peer.writer.write(sequence.next_chunk(random));
                auto task = create_task(peer.writer.drain());
                co_await turns(random() % 3);
                check.take(raw_receive(peer.raw, random() % 2 == 0 ? 2000 : 100));
                co_await turns(random() % 3);
                task.cancel();
                const auto outcome = co_await as_outcome(std::move(task));
                ++(outcome ? completed : cancelled);
            }
            peer.writer.close();
            auto ended = [&] {
                check.take(raw_receive(peer.raw));
                return check.next == sequence.next;
            };
            const bool there = co_await until(ended);
            EXPECT_TRUE(there);
            EXPECT_EQ(check.gaps, 0);
            co_await peer.writer.wait_closed();
        }
        storm.check(cancelled, completed);
    });
}

TEST(CancelStorm, whole_connections_cancelled_anywhere) {
    testing::run([]() -> Coro<> {
        Server server = co_await start_server(echo, "127.0.0.1", 0);
        const Storm storm;
        std::mt19937 random(5);
        int completed = 0;
        int cancelled = 0;
        auto client = [](std::uint16_t port) -> Coro<> {
            auto streams = co_await open_connection("127.0.0.1", port);
            os::set_option(streams.second.transport()->fileno(), os::SocketOption::linger_reset, 1);
            streams.second.write("hello\n");
            co_await streams.second.drain();
            const std::string line = co_await streams.first.readline();
            EXPECT_EQ(line, "hello\n");
            streams.second.close();
            co_await streams.second.wait_closed();
        };
        testing::LogLines unclosed_writers;
        testing::ErrorLog resets_in_handlers(get_running_loop());
        const int rounds = storm.rounds / 8;
        for (int i = 0; i < rounds; ++i) {
            std::vector<Task<>> tasks;
            for (int n = 0; n < 8; ++n) tasks.push_back(create_task(client(port_of(server))));
            co_await turns(random() % 12);
            for (Task<>& task : tasks)
                if (random() % 2 == 0) task.cancel();
            for (Task<>& task : tasks) {
                const auto outcome = co_await as_outcome(std::move(task));
                EXPECT_TRUE(outcome || outcome.cancelled());
                ++(outcome ? completed : cancelled);
            }
        }
        server.close();
        co_await server.wait_closed();
        co_await turns(3);
        EXPECT_EQ(cancelled + completed, rounds * 8);
        EXPECT_GE(cancelled, storm.often);
        EXPECT_GE(completed, storm.often);
        EXPECT_EQ(all_tasks().size(), 1u);
        EXPECT_EQ(open_descriptors(), storm.descriptors - 1);  // the listener is gone
    });
}

}  // namespace
}  // namespace asyncio
