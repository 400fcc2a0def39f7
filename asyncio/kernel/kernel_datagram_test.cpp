// SPDX-License-Identifier: MIT
//
// receive_from: each datagram with its sender, in order and unmodified, also empty ones; errors
// that end it but not the socket; datagrams that are there when it is cancelled.
#include <asyncio/kernel/datagram.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/kernel_fixture_test.hpp>

#include <string>
#include <vector>

namespace asyncio::kernel::testing {
namespace {

struct Got {
    std::string data;
    SocketAddress from;
    bool truncated;
};

struct ReceiveFrom : Operation {
    explicit ReceiveFrom(int descriptor) : Operation(Opcode::receive_from, &note) {
        fd = descriptor;
    }
    static void note(Operation& operation, const Completion& completion) {
        auto& self = static_cast<ReceiveFrom&>(operation);
        EXPECT_EQ(self.idle(), !completion.more);
        if (!completion.more) {
            self.finals++;
            self.last = completion.result;
        } else {
            const auto& datagram = static_cast<const Datagram&>(completion);
            EXPECT_EQ(datagram.data.size(), static_cast<std::size_t>(datagram.result));
            self.got.push_back({std::string(reinterpret_cast<const char*>(datagram.data.data()),
                                            datagram.data.size()),
                                SocketAddress::from_raw(datagram.address, datagram.address_size),
                                datagram.truncated});
        }
        if (self.then) self.then();
    }

    std::vector<Got> got;
    int finals = 0;
    int last = 1;
    std::function<void()> then;
};

class KernelDatagram : public KernelFixture {
  protected:
    struct Socket {
        Fd fd;
        SocketAddress name;
    };
    static Socket udp() {
        Socket socket = {Fd(os::datagram_socket(AF_INET)), loopback()};
        EXPECT_EQ(os::bind(socket.fd.get(), socket.name), 0);
        EXPECT_EQ(os::local_address(socket.fd.get(), socket.name), 0);
        return socket;
    }
    static void send(const Socket& from, std::string_view text, const SocketAddress& to) {
        EXPECT_EQ(::sendto(from.fd.get(), text.data(), text.size(), 0, to.raw(), to.size()),
                  static_cast<ssize_t>(text.size()));
    }
};
INSTANTIATE_TEST_SUITE_P(Variants, KernelDatagram, variants(), name_of);

TEST_P(KernelDatagram, each_with_its_sender_in_order_also_empty_ones) {
    const Socket here = udp();
    const Socket one = udp();
    const Socket two = udp();
    ReceiveFrom receive(here.fd.get());
    ASSERT_TRUE(kernel->submit(receive));
    std::vector<std::string> sent;
    for (int i = 0; i < 100; i++) {
        sent.push_back(i % 10 == 0 ? std::string()
                                   : std::string(static_cast<std::size_t>(i) * 10, 'x'));
        send(i % 2 == 0 ? one : two, sent.back(), here.name);
    }
    ASSERT_TRUE(pump(*kernel, [&] { return receive.got.size() == 100; }));
    for (std::size_t i = 0; i < 100; i++) {
        EXPECT_EQ(receive.got[i].data, sent[i]);
        EXPECT_EQ(receive.got[i].from, i % 2 == 0 ? one.name : two.name);
        EXPECT_FALSE(receive.got[i].truncated);
    }
    EXPECT_EQ(receive.finals, 0);
    kernel->reclaim(receive);
}

TEST_P(KernelDatagram, the_largest_arrives_whole) {
    const Socket here = udp();
    const Socket there = udp();
    ReceiveFrom receive(here.fd.get());
    ASSERT_TRUE(kernel->submit(receive));
    const std::string large(65507, 'L');
    send(there, large, here.name);
    ASSERT_TRUE(pump(*kernel, [&] { return receive.got.size() == 1; }));
    EXPECT_TRUE(receive.got[0].data == large);
    EXPECT_FALSE(receive.got[0].truncated);
    kernel->reclaim(receive);
}

TEST_P(KernelDatagram, what_is_too_large_says_that_it_was_cut) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    const Fd here(fds[0]);
    const Fd there(fds[1]);
    ReceiveFrom receive(here.get());
    ASSERT_TRUE(kernel->submit(receive));
    const std::string large(100'000, 'L');
    ASSERT_EQ(::send(there.get(), large.data(), large.size(), 0), 100'000);
    ASSERT_EQ(::send(there.get(), "next", 4, 0), 4);
    ASSERT_TRUE(pump(*kernel, [&] { return receive.got.size() == 2; }));
    EXPECT_TRUE(receive.got[0].truncated);
    EXPECT_GE(receive.got[0].data.size(), 65'507u);
    EXPECT_EQ(receive.got[1].data, "next");
    EXPECT_FALSE(receive.got[1].truncated);
    kernel->reclaim(receive);
}

TEST_P(KernelDatagram, an_error_ends_it_but_not_the_socket) {
    const Socket here = udp();
    SocketAddress nobody = loopback();
    {
        const Socket gone = udp();
        nobody = gone.name;
    }
    ASSERT_EQ(os::connect(here.fd.get(), nobody), 0);
    ReceiveFrom receive(here.fd.get());
    ASSERT_TRUE(kernel->submit(receive));
    poll_now(*kernel);
    ASSERT_EQ(::send(here.fd.get(), "hello?", 6, 0), 6);
    ASSERT_TRUE(pump(*kernel, [&] { return receive.finals == 1; }));
    EXPECT_EQ(receive.last, -ECONNREFUSED);
    ASSERT_TRUE(kernel->submit(receive));
    Socket late = {Fd(os::datagram_socket(AF_INET)), nobody};
    ASSERT_EQ(os::bind(late.fd.get(), nobody), 0);
    send(late, "here I am", here.name);
    ASSERT_TRUE(pump(*kernel, [&] { return receive.got.size() == 1; }));
    EXPECT_EQ(receive.got[0].data, "here I am");
    kernel->reclaim(receive);
}

TEST_P(KernelDatagram, cancelling_from_its_callback_loses_nothing_that_was_taken) {
    const Socket here = udp();
    const Socket there = udp();
    for (int i = 0; i < 20; i++) send(there, std::to_string(i), here.name);
    ReceiveFrom receive(here.fd.get());
    receive.then = [&] { kernel->cancel(receive); };
    ASSERT_TRUE(kernel->submit(receive));
    ASSERT_TRUE(pump(*kernel, [&] { return receive.finals == 1; }));
    receive.then = nullptr;
    receive.finals = 0;
    ASSERT_TRUE(kernel->submit(receive));
    ASSERT_TRUE(pump(*kernel, [&] { return receive.got.size() == 20; }));
    for (int i = 0; i < 20; i++)
        EXPECT_EQ(receive.got[static_cast<std::size_t>(i)].data, std::to_string(i));
    kernel->reclaim(receive);
}

TEST_P(KernelDatagram, it_may_be_taken_back_from_its_callback) {
    const Socket here = udp();
    const Socket there = udp();
    for (int i = 0; i < 20; i++) send(there, std::to_string(i), here.name);
    ReceiveFrom receive(here.fd.get());
    receive.then = [&] { kernel->reclaim(receive); };
    ASSERT_TRUE(kernel->submit(receive));
    ASSERT_TRUE(pump(*kernel, [&] { return !receive.got.empty(); }));
    poll_now(*kernel);
    EXPECT_EQ(receive.got.size(), 1u);
    EXPECT_EQ(receive.finals, 0);
    EXPECT_TRUE(receive.idle());
}

TEST_P(KernelDatagram, what_is_sent_and_taken_wakes_nobody) {
    const Socket here = udp();
    const Socket there = udp();
    ReceiveFrom receive(here.fd.get());
    ASSERT_TRUE(kernel->submit(receive));
    poll_now(*kernel);
    send(here, "x", there.name);
    char taken;
    EXPECT_EQ(::recv(there.fd.get(), &taken, 1, 0), 1);
    const TimePoint before = kernel->now();
    kernel->wait(20ms);
    EXPECT_GE(kernel->now() - before, 20ms);
    kernel->reclaim(receive);
}

/// Two unix datagram sockets, of which the first has no room to send.
Pair full_pair() {
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    while (::send(fds[0], "x", 1, 0) == 1) continue;
    return {Fd(fds[0]), Fd(fds[1])};
}

void take_all(const Fd& fd) {
    char taken;
    while (::recv(fd.get(), &taken, 1, 0) == 1) continue;
}

TEST_P(KernelDatagram, who_waits_for_room_hears_of_it_beside_who_receives) {
    for (const bool receives_first : {true, false}) {
        Pair pair = full_pair();
        ReceiveFrom receive(pair.a.get());
        TestOperation room(Opcode::poll, pair.a.get());
        room.events = POLLOUT;
        Operation& first = receives_first ? static_cast<Operation&>(receive) : room;
        ASSERT_TRUE(kernel->submit(first));
        ASSERT_TRUE(kernel->submit(receives_first ? static_cast<Operation&>(room) : receive));
        poll_now(*kernel);
        EXPECT_TRUE(room.results.empty());
        take_all(pair.b);
        EXPECT_TRUE(pump(*kernel, [&] { return room.ended(); }));
        EXPECT_EQ(room.last(), POLLOUT);
        EXPECT_EQ(::send(pair.b.get(), "y", 1, 0), 1);
        EXPECT_TRUE(pump(*kernel, [&] { return receive.got.size() == 1; }));
        kernel->reclaim(receive);
        kernel->close(pair.a.release());
    }
}

TEST_P(KernelDatagram, who_sends_hears_of_room_beside_who_receives) {
    const Pair pair = full_pair();
    ReceiveFrom receive(pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    TestOperation sending(Opcode::send, pair.a.get());
    sending.set_buffer("z", 1);
    ASSERT_TRUE(kernel->submit(sending));
    poll_now(*kernel);
    EXPECT_TRUE(sending.results.empty());
    take_all(pair.b);
    EXPECT_TRUE(pump(*kernel, [&] { return sending.ended(); }));
    EXPECT_EQ(sending.last(), 1);
    kernel->reclaim(receive);
}

TEST_P(KernelDatagram, what_is_no_socket_is_an_error) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const Fd in(ends[0]);
    const Fd out(ends[1]);
    ReceiveFrom receive(in.get());
    if (kernel->submit(receive)) {
        ASSERT_EQ(::write(out.get(), "x", 1), 1);
        ASSERT_TRUE(pump(*kernel, [&] { return receive.finals == 1; }));
    }
    EXPECT_TRUE(receive.last == -ENOTSOCK || receive.inline_result == -ENOTSOCK);
}

}  // namespace
}  // namespace asyncio::kernel::testing
