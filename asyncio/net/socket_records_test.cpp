// SPDX-License-Identifier: MIT
//
// What a socket's transport offers to a TLS whose records the kernel makes. The system may have
// none of that; the waiting for room is the same. (tests/tls_kernel_test.cpp has the whole.)
#include <asyncio/net/create_connection.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/sendfile.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/kernel_tls.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/stream/kernel_tls.hpp>

#include <memory>
#include <string>

#include <linux/tls.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace net_tests;

/// Counts its calls, and knows whether it is still wanted.
struct Room {
    auto call() {
        return [this, held = alive] { ++calls; };
    }
    bool wanted() const { return alive.use_count() > 1; }
    std::shared_ptr<int> alive = std::make_shared<int>(0);
    int calls = 0;
};

/// Send past the transport until the socket takes no more.
void fill_socket(int fd) {
    const std::string filler(65536, 'f');
    while (::send(fd, filler.data(), filler.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) continue;
}

/// Who waits for `room` is called once, when all `size` bytes are out and not before `holds`.
template <class F>
Coro<> expect_room_behind(Peer& peer, Room& room, std::size_t size, F holds) {
    peer.transport->kernel_tls()->when_room(room.call());
    std::size_t received = 0;
    auto done = [&] {
        if (room.calls > 0) {
            EXPECT_TRUE(holds());
        }
        received += raw_receive(peer.raw).size();
        return received == size && room.calls == 1;
    };
    EXPECT_TRUE(co_await until(done)) << received << " " << room.calls;
}

TEST(SocketRecords, who_waits_is_called_from_the_loop_and_once) {
    testing::run([]() -> Coro<> {
        Peer peer;
        stream::KernelTls& records = *peer.transport->kernel_tls();
        EXPECT_EQ(&records, peer.transport->kernel_tls());
        EXPECT_EQ(records.is_supported(), os::has_kernel_tls());
        EXPECT_TRUE(records.is_flushed());
        Room first;
        Room second;
        records.when_room(first.call());
        EXPECT_EQ(first.calls, 0);
        records.when_room(second.call());
        EXPECT_FALSE(first.wanted());
        auto called = [&] { return second.calls > 0; };
        EXPECT_TRUE(co_await until(called));
        for (int i = 0; i < 5; ++i) co_await sleep(0s);
        EXPECT_EQ(first.calls, 0);
        EXPECT_EQ(second.calls, 1);
        EXPECT_FALSE(second.wanted());
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketRecords, room_is_behind_what_was_written) {
    testing::run([]() -> Coro<> {
        Peer peer;
        const std::string data(8 << 20, 'x');
        peer.writer.write(data);
        stream::KernelTls& records = *peer.transport->kernel_tls();
        EXPECT_FALSE(records.is_flushed());
        Room room;
        const auto flushed = [&] { return records.is_flushed(); };
        co_await expect_room_behind(peer, room, data.size(), flushed);
        peer.writer.write("and on");
        auto arrived = [&] { return raw_receive(peer.raw) == "and on"; };
        EXPECT_TRUE(co_await until(arrived));
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketRecords, a_socket_that_is_full_has_no_room_and_writes_keep_their_order) {
    testing::run([]() -> Coro<> {
        Peer peer;
        fill_socket(peer.transport->fileno());
        stream::KernelTls& records = *peer.transport->kernel_tls();
        EXPECT_TRUE(records.is_flushed());
        Room room;
        records.when_room(room.call());
        for (int i = 0; i < 20; ++i) co_await sleep(0s);
        EXPECT_EQ(room.calls, 0);
        peer.writer.write("one");  // while the send operation waits for room
        peer.writer.write("two");
        std::string tail;
        auto done = [&] {
            tail += raw_receive(peer.raw);
            if (tail.size() > 6) tail.erase(0, tail.size() - 6);
            return tail == "onetwo" && room.calls == 1;
        };
        EXPECT_TRUE(co_await until(done)) << tail << " " << room.calls;
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketRecords, what_is_written_while_somebody_waits_goes_out_before_a_file) {
    for (const bool closes : {false, true}) {
        testing::run([closes]() -> Coro<> {
            Peer peer;
            fill_socket(peer.transport->fileno());
            Room room;
            peer.transport->kernel_tls()->when_room(room.call());
            peer.writer.write("one");  // while the send operation waits for room
            {
                const net::DirectSend file(*peer.transport);
                if (closes) peer.writer.close();
                std::string tail;
                auto done = [&] {
                    tail += raw_receive(peer.raw);
                    if (tail.size() > 3) tail.erase(0, tail.size() - 3);
                    return tail == "one" && file.may_send();
                };
                EXPECT_TRUE(co_await until(done)) << tail;
            }
            auto called = [&] { return room.calls == (closes ? 0 : 1); };
            EXPECT_TRUE(co_await until(called));
            peer.writer.close();
            co_await peer.writer.wait_closed();
            EXPECT_FALSE(room.wanted());
        });
    }
}

TEST(SocketRecords, who_asks_again_out_of_his_call_is_called_again) {
    testing::run([]() -> Coro<> {
        Peer peer;
        stream::KernelTls& records = *peer.transport->kernel_tls();
        int calls = 0;
        struct Again {
            stream::KernelTls& records;
            int& calls;
            void operator()() const {
                if (++calls < 3) records.when_room(Again(*this));
            }
        };
        records.when_room(Again{records, calls});
        auto done = [&] { return calls == 3; };
        EXPECT_TRUE(co_await until(done));
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketRecords, the_end_of_the_connection_forgets_who_waits) {
    testing::run([]() -> Coro<> {
        for (const bool closes : {true, false}) {
            Peer peer;
            fill_socket(peer.transport->fileno());
            stream::KernelTls& records = *peer.transport->kernel_tls();
            Room room;
            records.when_room(room.call());
            EXPECT_TRUE(room.wanted());
            closes ? peer.transport->close() : peer.transport->abort();
            EXPECT_FALSE(records.is_flushed());
            EXPECT_FALSE(room.wanted());
            Room late;
            records.when_room(late.call());
            EXPECT_FALSE(late.wanted());
            co_await peer.writer.wait_closed();
            EXPECT_EQ(room.calls + late.calls, 0);
        }
    });
}

TEST(SocketRecords, the_loop_may_close_while_somebody_waits) {
    Room room;
    const int before = open_descriptors();
    {
        EventLoop loop;
        auto use = [&]() -> Coro<> {
            Peer peer;
            fill_socket(peer.transport->fileno());
            peer.transport->kernel_tls()->when_room(room.call());
            get_running_loop().call_soon([] { get_running_loop().stop(); });
            co_await sleep(std::chrono::hours(1));
        };
        EXPECT_THROW(loop.run_until_complete(use()), std::logic_error);
        loop.close();
    }
    EXPECT_FALSE(room.wanted());
    EXPECT_EQ(room.calls, 0);
    EXPECT_EQ(open_descriptors(), before);
}

TEST(SocketRecords, a_file_that_is_being_sent_goes_first) {
    testing::run([]() -> Coro<> {
        std::string path = "/tmp/asyncio-records-XXXXXX";
        const Fd file(::mkstemp(path.data()));
        ::unlink(path.c_str());
        EXPECT_EQ(::ftruncate(file.get(), 4 << 20), 0);
        Peer peer;
        auto sending = create_task(get_running_loop().sendfile(*peer.transport, file.get()));
        co_await sleep(0s);
        stream::KernelTls& records = *peer.transport->kernel_tls();
        EXPECT_FALSE(records.is_flushed());
        Room room;
        const auto sent = [&] { return sending.done(); };
        co_await expect_room_behind(peer, room, 4 << 20, sent);
        (void)co_await sending;
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketRecords, a_socket_that_cannot_encrypt_says_so_and_goes_on) {
    testing::run([]() -> Coro<> {
        Peer peer;
        const tls_crypto_info unknown = {.version = TLS_1_3_VERSION, .cipher_type = 0xffff};
        EXPECT_FALSE(peer.transport->kernel_tls()->start(unknown));
        peer.writer.write("hello");
        auto arrived = [&] { return raw_receive(peer.raw) == "hello"; };
        EXPECT_TRUE(co_await until(arrived));
        peer.writer.close();
        co_await peer.writer.wait_closed();
    });
}

TEST(SocketRecords, pipes_offer_nothing) {
    testing::run([]() -> Coro<> {
        int ends[2] = {-1, -1};
        EXPECT_EQ(os::make_pipe(ends[0], ends[1]), 0);
        const Fd reading(ends[0]);
        struct Quiet final : Protocol {};
        auto both = co_await get_running_loop().connect_write_pipe(
            [] { return std::make_unique<Quiet>(); }, ends[1]);
        EXPECT_EQ(both.first->kernel_tls(), nullptr);
        both.first->close();
    });
}

}  // namespace
}  // namespace asyncio
