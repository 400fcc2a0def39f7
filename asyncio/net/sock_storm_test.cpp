// SPDX-License-Identifier: MIT
//
// Storms of cancels (catalogue A1-A3) over what has no transport, or shares one: sock_*, sendfile,
// pipes. Whoever wins, no byte, no connection and no descriptor is lost.
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/sendfile.hpp>
#include <asyncio/net/sock.hpp>
#include <asyncio/net/storm_fixture_test.hpp>

#include <memory>
#include <string>
#include <utility>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

constexpr std::size_t kPiece = 16'384;

std::pair<Fd, Fd> socket_pair(int type = SOCK_STREAM) {
    int fds[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    return std::pair<Fd, Fd>(Fd(fds[0]), Fd(fds[1]));
}

TEST(SockStorm, receive_against_arriving_data) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Storm storm;
        std::mt19937 random(11);
        int completed = 0;
        int cancelled = 0;
        {
            const auto [ours, raw] = socket_pair();
            Sequence sequence;
            SequenceCheck check;
            for (int i = 0; i < storm.rounds; ++i) {
                auto task = create_task(loop.sock_recv(ours.get(), 1 + random() % 100));
                co_await turns(random() % 3);
                if (random() % 2 == 0) raw_send(raw, sequence.next_chunk(random));
                co_await turns(random() % 3);
                task.cancel();
                const auto outcome = co_await as_outcome(std::move(task));
                if (outcome) check.take(*outcome);
                ++(outcome ? completed : cancelled);
            }
            check.take(raw_receive(ours, kPiece));
            EXPECT_EQ(check.gaps, 0);
            EXPECT_EQ(check.next, sequence.next);
        }
        storm.check(cancelled, completed);
    });
}

TEST(SockStorm, sending_to_a_peer_that_reads_at_times) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Storm storm;
        std::mt19937 random(12);
        int completed = 0;
        int cancelled = 0;
        {
            const auto [ours, raw] = socket_pair();
            os::set_option(ours.get(), os::SocketOption::send_buffer, 4096);
            const std::string text(3000, 'x');
            std::size_t least = 0;
            std::size_t most = 0;
            std::size_t received = 0;
            for (int i = 0; i < storm.rounds; ++i) {
                auto task = create_task(loop.sock_sendall(ours.get(), std::string_view(text)));
                co_await turns(random() % 3);
                if (random() % 2 == 0) received += raw_receive(raw, kPiece).size();
                co_await turns(random() % 3);
                task.cancel();
                const auto outcome = co_await as_outcome(std::move(task));
                ++(outcome ? completed : cancelled);
                least += outcome ? text.size() : 0;
                most += text.size();
            }
            for (std::string piece = raw_receive(raw, kPiece); !piece.empty();
                 piece = raw_receive(raw, kPiece))
                received += piece.size();
            EXPECT_GE(received, least);
            EXPECT_LE(received, most);
        }
        storm.check(cancelled, completed);
    });
}

TEST(SockStorm, accept_and_connect) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const RawListener listener;
        const Storm storm;
        std::mt19937 random(13);
        int completed = 0;
        int cancelled = 0;
        for (int i = 0; i < storm.rounds; ++i) {
            Fd client(os::stream_socket(AF_INET));
            auto accepting = create_task(loop.sock_accept(listener.fd.get()));
            co_await turns(random() % 3);
            auto connecting = create_task(loop.sock_connect(client.get(), listener.address));
            co_await turns(random() % 4);
            if (i % 2 == 0)
                connecting.cancel();
            else
                accepting.cancel();
            const auto connected = co_await as_outcome(std::move(connecting));
            if (connected) {
                // Who was not accepted there waits for it here.
                auto outcome = co_await as_outcome(std::move(accepting));
                Fd here = outcome ? std::move(outcome->first) : listener.accept();
                EXPECT_TRUE(here);
                ++(outcome ? completed : cancelled);
                reset(here);
            } else {
                EXPECT_TRUE(connected.cancelled());
                accepting.cancel();
                (void)co_await as_outcome(std::move(accepting));
                ++cancelled;
            }
            reset(client);
            for (Fd late = listener.accept(); late; late = listener.accept()) reset(late);
        }
        storm.check(cancelled, completed);
    });
}

/// A file without a name, of that size.
Fd make_file(std::size_t size) {
    std::string path = "/tmp/asyncio-storm-XXXXXX";
    Fd fd(::mkostemp(path.data(), O_CLOEXEC));
    ::unlink(path.c_str());
    EXPECT_EQ(::ftruncate(fd.get(), static_cast<off_t>(size)), 0);
    return fd;
}

TEST(SockStorm, sendfile_tells_by_the_position_what_was_sent) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Storm storm;
        std::mt19937 random(14);
        int completed = 0;
        int cancelled = 0;
        {
            const Fd file = make_file(20'000);
            std::size_t sent = 0;
            std::size_t received = 0;
            auto plain = socket_pair();
            os::set_option(plain.first.get(), os::SocketOption::send_buffer, 4096);
            auto sockets = socket_pair();
            os::set_option(sockets.first.get(), os::SocketOption::send_buffer, 4096);
            Peer peer(std::move(sockets), 256);
            for (int i = 0; i < storm.rounds; ++i) {
                ::lseek(file.get(), 0, SEEK_SET);
                const bool over_transport = random() % 2 == 0;
                auto task =
                    create_task(over_transport ? loop.sendfile(*peer.transport, file.get())
                                               : loop.sock_sendfile(plain.first.get(), file.get()));
                for (unsigned n = random() % 4; n > 0; --n) {
                    received += raw_receive(peer.raw, kPiece).size() +
                                raw_receive(plain.second, kPiece).size();
                    co_await turns(random() % 3);
                }
                task.cancel();
                const auto outcome = co_await as_outcome(std::move(task));
                ++(outcome ? completed : cancelled);
                sent += static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_CUR));
                EXPECT_FALSE(peer.transport->is_closing());
            }
            for (const Fd* fd : {&peer.raw, &plain.second})
                for (std::string piece = raw_receive(*fd, kPiece); !piece.empty();
                     piece = raw_receive(*fd, kPiece))
                    received += piece.size();
            EXPECT_EQ(received, sent);
            peer.writer.close();
            co_await peer.writer.wait_closed();
        }
        storm.check(cancelled, completed);
    });
}

TEST(SockStorm, pipes_are_taken_over_or_left_alone) {
    testing::run([]() -> Coro<> {
        EventLoop& loop = get_running_loop();
        const Storm storm;
        std::mt19937 random(15);
        int completed = 0;
        int cancelled = 0;
        auto factory = [] { return std::make_unique<Protocol>(); };
        for (int i = 0; i < storm.rounds; ++i) {
            int ends[2] = {-1, -1};
            EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
            const int ours = ends[i % 2];
            Fd other(ends[1 - i % 2]);
            auto task = create_task(i % 2 == 0 ? loop.connect_read_pipe(factory, ours)
                                               : loop.connect_write_pipe(factory, ours));
            co_await turns(random() % 2);
            task.cancel();
            auto outcome = co_await as_outcome(std::move(task));
            if (outcome) {
                if (i % 2 == 1) outcome->first->write("x");
                if (random() % 2 == 0) outcome->first->abort();
                other.reset();  // which ends what is not aborted
                co_await turns(3);
                outcome->first->close();
                co_await turns(3);
            } else {
                const Fd still_ours(ours);
            }
            ++(outcome ? completed : cancelled);
        }
        storm.check(cancelled, completed);
    });
}

}  // namespace
}  // namespace asyncio
