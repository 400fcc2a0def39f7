// SPDX-License-Identifier: MIT
//
// Connections under attack: resets, half-closes, peers that do not read. The peer is a raw socket
// of the test.
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/task/wait_for.hpp>

#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace net_tests;

/// Reads from `fd` until `size` bytes are there or it ended.
Coro<std::string> receive_all(const Fd& fd, std::size_t size) {
    std::string all;
    auto done = [&] {
        all += raw_receive(fd);
        return all.size() >= size;
    };
    const bool there = co_await until(done);
    EXPECT_TRUE(there);
    co_return all;
}

Coro<> expect_end(const Fd& fd) {
    auto ended = [&] { return raw_ended(fd); };
    const bool there = co_await until(ended);
    EXPECT_TRUE(there);
}

TEST(SocketTransport, WR_01_WR_02_bytes_arrive_in_order) {
    testing::run([]() -> Coro<> {
        Peer peer;
        std::string expected;
        for (int i = 0; i < 2000; ++i) {
            const std::string piece =
                std::to_string(i) + std::string(i % 100 == 0 ? 20000 : 3, '.');
            peer.writer.write(piece);
            expected += piece;
            if (i % 300 == 0) co_await sleep(0s);
        }
        const std::string all = co_await receive_all(peer.raw, expected.size());
        EXPECT_TRUE(all == expected);
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, WR_10_close_flushes_first) {
    testing::run([]() -> Coro<> {
        Peer peer;
        const std::string data(8 << 20, 'x');
        peer.writer.write(data);
        EXPECT_GT(peer.writer.write_buffer_size(), 0u);
        peer.writer.close();
        peer.writer.close();
        EXPECT_TRUE(peer.writer.is_closing());
        peer.writer.write("ignored");
        const std::string all = co_await receive_all(peer.raw, data.size());
        EXPECT_EQ(all.size(), data.size());
        co_await peer.writer.wait_closed();
        co_await expect_end(peer.raw);
        const auto drained = co_await as_outcome(peer.writer.drain());
        EXPECT_EQ(error_of(drained),
                  "std::system_error: Connection lost: Connection reset by peer");
    });
}

TEST(SocketTransport, D5_a_write_that_finds_the_socket_full_is_kept) {
    testing::run([]() -> Coro<> {
        Peer peer;
        std::size_t filled = 0;
        for (const std::size_t size : {std::size_t{1} << 16, std::size_t{1}}) {
            const std::string piece(size, 'x');
            while (os::try_send(peer.transport->fileno(), bytes_of(piece)) == std::ssize(piece))
                filled += size;
        }
        peer.writer.write("tail");
        EXPECT_EQ(peer.writer.write_buffer_size(), 4u);
        std::string all;
        while (!all.ends_with("tail") && !::testing::Test::HasFailure()) {
            const std::string more = co_await receive_all(peer.raw, 1);
            all += more;
        }
        EXPECT_GE(all.size(), filled + 4);
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, WR_11_WR_13_wait_closed_with_unread_data) {
    testing::run([]() -> Coro<> {
        Peer peer;
        raw_send(peer.raw, "unread");
        const std::string first = co_await peer.reader.read(1);
        EXPECT_EQ(first, "u");
        peer.writer.close();
        co_await peer.writer.wait_closed();
        const std::string rest = co_await peer.reader.read();
        EXPECT_EQ(rest, "nread");
        EXPECT_TRUE(peer.reader.at_eof());
    });
}

TEST(SocketTransport, WR_12_half_close_from_our_side) {
    testing::run([]() -> Coro<> {
        Peer peer;
        const std::string data(1 << 20, 'x');
        peer.writer.write(data);
        peer.writer.write_eof();
        peer.writer.write_eof();
        EXPECT_THROW(peer.writer.write("more"), std::logic_error);
        const std::string all = co_await receive_all(peer.raw, data.size());
        EXPECT_EQ(all.size(), data.size());
        co_await expect_end(peer.raw);
        raw_send(peer.raw, "answer");
        const std::string answer = co_await peer.reader.readexactly(6);
        EXPECT_EQ(answer, "answer");
        peer.raw.reset();
        const std::string rest = co_await peer.reader.read();
        EXPECT_EQ(rest, "");
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, the_end_is_sent_also_if_the_connection_is_closed_at_once) {
    testing::run([]() -> Coro<> {
        Peer peer;
        const Fd shared(::dup(peer.transport->fileno()));  // by a child, say
        peer.writer.write_eof();
        peer.writer.close();
        co_await peer.writer.wait_closed();
        co_await expect_end(peer.raw);
    });
}

TEST(SocketTransport, half_close_from_the_peers_side) {
    testing::run([]() -> Coro<> {
        Peer peer;
        raw_send(peer.raw, "question");
        os::shutdown(peer.raw.get(), os::Shutdown::write);
        const std::string question = co_await peer.reader.read();
        EXPECT_EQ(question, "question");
        EXPECT_FALSE(peer.writer.is_closing());
        const std::string answer(1 << 20, 'a');
        peer.writer.write(answer);
        const std::string all = co_await receive_all(peer.raw, answer.size());
        EXPECT_EQ(all.size(), answer.size());
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, a_reset_fails_reads_drains_and_wait_closed) {
    testing::run([]() -> Coro<> {
        const std::string reset_text = "Connection reset by peer";
        Peer peer;
        Task<std::string> reading = create_task(peer.reader.read());
        co_await sleep(0s);
        reset(peer.raw);
        const auto read = co_await as_outcome(reading);
        EXPECT_EQ(error_of(read), "std::system_error: receive: " + reset_text);
        const auto closed = co_await as_outcome(peer.writer.wait_closed());
        EXPECT_EQ(error_of(closed), "std::system_error: receive: " + reset_text);
        const auto drained = co_await as_outcome(peer.writer.drain());
        EXPECT_EQ(error_of(drained), "std::system_error: receive: " + reset_text);
        for (int i = 0; i < 3; ++i) peer.writer.write("ignored");
    });
}

TEST(SocketTransport, the_peer_resets_while_we_write) {
    testing::run([]() -> Coro<> {
        for (int round = 0; round < 20; ++round) {
            Peer peer;
            Task<> writing = create_task([&]() -> Coro<> {
                for (;;) {
                    peer.writer.write(std::string(100'000, 'x'));
                    co_await peer.writer.drain();
                }
            });
            for (int i = 0; i < round; ++i) {
                co_await sleep(0s);
                (void)raw_receive(peer.raw, 50'000);
            }
            reset(peer.raw);
            const auto outcome = co_await as_outcome(writing);
            EXPECT_FALSE(outcome);
            EXPECT_FALSE(outcome.cancelled());
            (void)co_await as_outcome(peer.writer.wait_closed());
            EXPECT_TRUE(peer.writer.is_closing());
        }
    });
}

TEST(SocketTransport, a_peer_that_never_reads_costs_the_high_water_mark) {
    testing::run([]() -> Coro<> {
        Peer peer;
        std::size_t written = 0;
        std::size_t most = 0;
        Task<> writing = create_task([&]() -> Coro<> {
            const std::string chunk(64 << 10, 'x');
            for (std::size_t i = 0; i < (1u << 30) / chunk.size(); ++i) {
                peer.writer.write(chunk);
                written += chunk.size();
                most = std::max(most, peer.writer.write_buffer_size());
                co_await peer.writer.drain();
            }
        });
        for (int i = 0; i < 100; ++i) co_await sleep(1ms);
        EXPECT_FALSE(writing.done());
        EXPECT_LE(most, net::SocketTransport::kHighWater + (64u << 10));
        EXPECT_LT(written, 64u << 20);  // the rest is in the system's buffers
        writing.cancel();
        (void)co_await as_outcome(writing);
        peer.writer.abort();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, a_slow_reader_gets_everything_within_the_bounds) {
    testing::run([]() -> Coro<> {
        Peer peer;
        const std::size_t total = static_cast<std::size_t>(scaled(1 << 30, 32 << 20));
        std::size_t most = 0;
        Task<> writing = create_task([&]() -> Coro<> {
            const std::string chunk(64 << 10, 'x');
            for (std::size_t sent = 0; sent < total; sent += chunk.size()) {
                peer.writer.write(chunk);
                most = std::max(most, peer.writer.write_buffer_size());
                co_await peer.writer.drain();
            }
            peer.writer.close();
        });
        std::size_t received = 0;
        std::vector<std::byte> memory(1 << 18);
        auto ended = [&] {
            const std::ptrdiff_t count = os::try_receive(peer.raw.get(), memory);
            if (count > 0) received += static_cast<std::size_t>(count);
            return count == 0;
        };
        const bool there = co_await until(ended);
        EXPECT_TRUE(there);
        EXPECT_GE(received, total);
        EXPECT_LE(most, net::SocketTransport::kHighWater + (64u << 10));
        co_await writing;
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, abort_drops_what_is_buffered) {
    testing::run([]() -> Coro<> {
        Peer peer;
        peer.writer.write(std::string(16 << 20, 'x'));
        Task<> waiting = create_task(peer.writer.wait_closed());
        co_await sleep(0s);
        peer.writer.abort();
        peer.writer.abort();
        peer.writer.close();
        EXPECT_TRUE(peer.writer.is_closing());
        co_await waiting;
        std::size_t received = 0;
        auto ended = [&] {
            const std::size_t count = raw_receive(peer.raw).size();
            received += count;
            return count == 0 && raw_ended(peer.raw);
        };
        const bool there = co_await until(ended);
        EXPECT_TRUE(there);
        EXPECT_LT(received, 16u << 20);
    });
}

TEST(SocketTransport, a_large_write_that_takes_the_buffer_along_resumes) {
    testing::run([]() -> Coro<> {
        Peer peer;
        peer.transport->set_write_buffer_limits(10);
        peer.writer.write("first");
        peer.writer.write(std::string(100, 'g'));  // gathered: paused
        EXPECT_EQ(peer.writer.write_buffer_size(), 100u);
        peer.writer.write(std::string(net::SocketTransport::kInlineWrite, 'l'));
        EXPECT_EQ(peer.writer.write_buffer_size(), 0u);
        const auto drained = co_await as_outcome(wait_for(peer.writer.drain(), 5s));
        EXPECT_TRUE(drained);
    });
}

TEST(SocketTransport, several_drains_wait_for_one_slow_peer) {
    testing::run([]() -> Coro<> {
        Peer peer;
        const std::size_t size = 8 << 20;
        peer.writer.write(std::string(size, 'x'));
        std::vector<Task<>> drains;
        for (int i = 0; i < 5; ++i) drains.push_back(create_task(peer.writer.drain()));
        co_await sleep(0s);
        drains[1].cancel();
        (void)co_await receive_all(peer.raw, size);
        for (Task<>& drain : drains) {
            const auto outcome = co_await as_outcome(drain);
            EXPECT_EQ(static_cast<bool>(outcome), &drain != &drains[1]);
        }
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, the_reader_bounds_what_it_buffers) {
    testing::run([]() -> Coro<> {
        Peer peer(1000);
        std::string expected;
        bool sent_all = false;
        auto fill = [&] {  // the system's buffers, too
            const std::string piece(5000, static_cast<char>('a' + expected.size() / 5000 % 26));
            const std::ptrdiff_t count = os::try_send(peer.raw.get(), bytes_of(piece));
            if (count > 0) expected += piece.substr(0, static_cast<std::size_t>(count));
            sent_all = count <= 0;
            return sent_all || expected.size() > (32u << 20);
        };
        (void)co_await until(fill);
        for (int i = 0; i < 50; ++i) co_await sleep(0s);
        EXPECT_TRUE(sent_all);  // it did not take everything there was
        EXPECT_LT(peer.core->buffer().size(), 4u << 20);
        peer.raw.get();
        os::shutdown(peer.raw.get(), os::Shutdown::write);
        const std::string all = co_await peer.reader.read();
        EXPECT_EQ(all.size(), expected.size());
        EXPECT_TRUE(all == expected);
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, pausing_and_resuming_loses_nothing) {
    testing::run([]() -> Coro<> {
        std::mt19937 random(3);
        Peer peer;
        std::string expected;
        std::string seen;
        const int rounds = scaled(5000, 1000);
        for (int i = 0; i < rounds; ++i) {
            const std::string piece = std::to_string(i) + ";";
            raw_send(peer.raw, piece);
            expected += piece;
            for (unsigned actions = random() % 4; actions > 0; --actions) {
                if (random() % 2 == 0)
                    peer.transport->pause_reading();
                else
                    peer.transport->resume_reading();
                if (random() % 2 == 0) co_await sleep(0s);
            }
            peer.transport->resume_reading();
            if (random() % 4 == 0) seen += co_await peer.reader.read(1 + random() % 20);
        }
        seen += co_await peer.reader.readexactly(expected.size() - seen.size());
        EXPECT_TRUE(seen == expected);
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, what_is_written_in_the_last_iteration_is_sent) {
    std::optional<Fd> raw;
    {
        testing::LogLines lines;
        auto loop = testing::make_virtual_loop();
        loop->run_until_complete([&]() -> Coro<> {
            Peer peer;
            raw.emplace(std::move(peer.raw));
            peer.writer.write("last words");
            peer.writer.close();
            co_return;
        });
        loop->close();
    }
    EXPECT_EQ(raw_receive(*raw), "last words");
    EXPECT_TRUE(raw_ended(*raw));
}

TEST(SocketTransport, everything_after_the_loss_is_harmless) {
    testing::run([]() -> Coro<> {
        testing::LogLines lines;
        Peer peer;
        peer.writer.close();
        co_await peer.writer.wait_closed();
        for (int i = 0; i < 6; ++i) peer.writer.write("x");
        EXPECT_TRUE(lines.contains("write() on a connection that is closed"));
        EXPECT_EQ(lines.size(), 2u);  // the fifth and the sixth
        peer.writer.write_eof();
        peer.writer.close();
        peer.writer.abort();
        peer.transport->pause_reading();
        peer.transport->resume_reading();
        peer.writer.set_write_buffer_limits(10, 5);
        EXPECT_EQ(peer.transport->fileno(), -1);
        EXPECT_EQ(peer.writer.write_buffer_size(), 0u);
        EXPECT_EQ(peer.writer.peername().to_string(), "");
    });
}

TEST(SocketTransport, the_addresses_outlive_the_connection_once_asked_for) {
    testing::run([]() -> Coro<> {
        Peer peer;
        const std::string name = peer.writer.peername().to_string();
        EXPECT_TRUE(name.starts_with("127.0.0.1:"));
        peer.writer.close();
        co_await peer.writer.wait_closed();
        EXPECT_EQ(peer.writer.peername().to_string(), name);
    });
}

TEST(SocketTransport, write_buffer_limits_are_checked) {
    testing::run([]() -> Coro<> {
        Peer peer;
        EXPECT_THROW(peer.writer.set_write_buffer_limits(1, 2), std::invalid_argument);
        EXPECT_NO_THROW(peer.writer.set_write_buffer_limits(0, 0));
        peer.writer.write("x");
        Task<> drain = create_task(peer.writer.drain());
        co_await drain;  // sent, so the buffer is at 0 again
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketTransport, sigpipe_is_never_raised) {
    testing::run([]() -> Coro<> {
        for (int i = 0; i < scaled(1000, 200); ++i) {
            Peer peer;
            reset(peer.raw);
            peer.writer.write(i % 2 == 0 ? std::string(20'000, 'x') : std::string("x"));
            peer.writer.write("y");
            (void)co_await as_outcome(peer.writer.wait_closed());
        }
    });
}

TEST(SocketTransport, the_connection_is_lost_while_the_handler_is_between_awaits) {
    testing::run([]() -> Coro<> {
        Peer peer;
        raw_send(peer.raw, "abc");
        const std::string first = co_await peer.reader.read(1);
        EXPECT_EQ(first, "a");
        reset(peer.raw);
        auto lost = [&] { return peer.core->lost(); };
        EXPECT_TRUE(co_await until(lost));
        peer.writer.write("into the void");
        const auto drained = co_await as_outcome(peer.writer.drain());
        EXPECT_FALSE(drained);
        const auto read = co_await as_outcome(peer.reader.read(1));
        EXPECT_FALSE(read);
    });
}

TEST(SocketTransport, closing_under_a_waiting_read_ends_it) {
    testing::run([]() -> Coro<> {
        for (const bool abort : {false, true}) {
            Peer peer;
            Task<std::string> reading = create_task(peer.reader.read());
            Task<std::string> line = create_task([]() -> Coro<std::string> { co_return ""; });
            co_await sleep(0s);
            if (abort)
                peer.writer.abort();
            else
                peer.writer.close();
            const std::string all = co_await reading;
            EXPECT_EQ(all, "");
            co_await line;
            co_await peer.writer.wait_closed();
        }
    });
}

TEST(SocketTransport, the_streams_may_be_dropped_at_any_moment) {
    testing::run([]() -> Coro<> {
        testing::LogLines lines;
        const int before = open_descriptors();
        for (int i = 0; i < 50; ++i) {
            std::optional<Peer> peer;
            peer.emplace();
            if (i % 3 != 0) peer->writer.write(std::string(i % 2 == 0 ? 10 : 1 << 20, 'x'));
            raw_send(peer->raw, "unread");
            for (int turns = i % 5; turns > 0; --turns) co_await sleep(0s);
            if (i % 7 == 0) peer->writer.write_eof();
            peer.reset();
        }
        auto closed = [&] { return open_descriptors() == before; };
        EXPECT_TRUE(co_await until(closed));
        EXPECT_TRUE(lines.contains("unclosed StreamWriter"));
    });
}

TEST(SocketTransport, D17_more_lines_than_the_system_gathers_at_once) {
    testing::run([]() -> Coro<> {
        Peer peer;
        std::vector<std::string> lines;
        std::string all;
        for (int i = 0; i < 5'000; ++i) all += lines.emplace_back(std::to_string(i) + " ");
        peer.writer.writelines(lines);
        std::string got;
        auto there = [&] {
            got += raw_receive(peer.raw);
            return got.size() >= all.size();
        };
        const bool in_time = co_await until(there);
        EXPECT_TRUE(in_time);
        EXPECT_EQ(got, all);
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

}  // namespace
}  // namespace asyncio
