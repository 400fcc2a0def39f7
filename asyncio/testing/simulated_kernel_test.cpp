// SPDX-License-Identifier: MIT
//
// The rules of the kernel interface (kernel/kernel.hpp, K1 to K7) on the simulated backend, on a
// good network and on networks that use every freedom the rules leave. The tests of room `kernel`
// need sockets of the real system, so they cannot run here; these have their meaning, rule by rule.
#include <asyncio/kernel/datagram.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/testing/simulated_kernel.hpp>

#include <cerrno>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::testing {
namespace {

using namespace std::chrono_literals;
using kernel::Completion;
using kernel::Opcode;
using kernel::Operation;

/// Writes down its completions, and that there is none after the last.
struct Noted : Operation {
    explicit Noted(Opcode code, int descriptor) : Operation(code, &note) { fd = descriptor; }

    static void note(Operation& operation, const Completion& completion) {
        auto& self = static_cast<Noted&>(operation);
        EXPECT_FALSE(self.ended);
        EXPECT_EQ(self.idle(), !completion.more);
        self.results.push_back(completion.result);
        self.data.append(reinterpret_cast<const char*>(completion.data.data()),
                         completion.data.size());
        self.ended = !completion.more;
        if (self.then) self.then(self, completion);
    }
    void send_text(std::string_view text) {
        buffer = {const_cast<char*>(text.data()), text.size()};
        buffers = &buffer;
        count = 1;
    }
    void go_to(const SocketAddress& where) {
        target = where;
        address = target.raw();
        count = target.size();
    }

    std::vector<int> results;
    std::string data;
    bool ended = false;
    iovec buffer = {};
    SocketAddress target;
    void (*then)(Noted&, const Completion&) = nullptr;
};

/// One host, a kernel for it, and the calls of os/ turned to it. The parameter is a seed; 0: a good
/// network.
class SimulatedKernelTest : public ::testing::TestWithParam<int> {
  protected:
    SimulatedKernelTest()
        : network(agenda, Random(static_cast<std::uint64_t>(GetParam())), trace),
          host(network.add_host("here")),
          kernel(network, host) {
        os::simulated_system = &host;
        if (GetParam() == 0) return;
        network.faults.late_completion = 0.5;
        network.faults.late_cancel = 0.5;
        network.faults.short_send = 0.5;
        network.faults.short_receive = 0.5;
        network.faults.window = 100;
    }
    ~SimulatedKernelTest() override {
        EXPECT_EQ(kernel.in_flight(), 0U);
        os::simulated_system = nullptr;
    }

    template <class Done>
    ::testing::AssertionResult pump(Done done) {
        for (int i = 0; i < 10'000; ++i) {
            if (done()) return ::testing::AssertionSuccess();
            kernel.wait(1s);
        }
        return ::testing::AssertionFailure() << "nothing came of it";
    }

    int listen(std::uint16_t port) {
        const int fd = os::stream_socket(AF_INET);
        EXPECT_EQ(os::bind(fd, *SocketAddress::parse("127.0.0.1", port)), 0);
        EXPECT_EQ(os::listen(fd, 10), 0);
        return fd;
    }

    struct Pair {
        int client;
        int server;
    };
    Pair connected() {
        const int listener = listen(80);
        const int client = os::stream_socket(AF_INET);
        Noted connecting(Opcode::connect, client);
        connecting.go_to(*SocketAddress::parse("127.0.0.1", 80));
        EXPECT_TRUE(kernel.submit(connecting));
        EXPECT_TRUE(connecting.results.empty());  // K1: not from within submit()
        EXPECT_TRUE(pump([&] { return connecting.ended; }));
        EXPECT_EQ(connecting.results, std::vector<int>{0});
        const int server = os::try_accept(listener);
        EXPECT_GE(server, 0);
        kernel.close(listener);
        return {client, server};
    }
    void close(const Pair& pair) {
        kernel.close(pair.client);
        kernel.close(pair.server);
    }

    Agenda agenda;
    Trace trace;
    Network network;
    NetworkHost& host;
    SimulatedKernel kernel;
};

TEST_P(SimulatedKernelTest, K1_a_send_is_inline_or_completes_from_wait) {
    const Pair pair = connected();
    int inline_results = 0;
    for (int i = 0; i < 30; ++i) {
        Noted sending(Opcode::send, pair.client);
        sending.send_text("x");
        if (!kernel.submit(sending)) {
            ++inline_results;
            EXPECT_EQ(sending.inline_result, 1);
            EXPECT_TRUE(sending.idle());
            continue;
        }
        EXPECT_TRUE(sending.results.empty());
        ASSERT_TRUE(pump([&] { return sending.ended; }));
        EXPECT_EQ(sending.results, std::vector<int>{1});
    }
    EXPECT_GT(inline_results, 0);
    EXPECT_LT(inline_results, 30);
    close(pair);
}

TEST_P(SimulatedKernelTest, K2_every_operation_ends_once_cancelled_or_not) {
    const Pair pair = connected();
    Noted receiving(Opcode::receive, pair.server);
    Noted polling(Opcode::poll, pair.client);
    polling.events = POLLIN;
    ASSERT_TRUE(kernel.submit(receiving));
    ASSERT_TRUE(kernel.submit(polling));
    EXPECT_EQ(kernel.in_flight(), 2U);
    kernel.cancel(receiving);
    kernel.cancel(receiving);  // idempotent
    kernel.cancel(polling);
    ASSERT_TRUE(pump([&] { return receiving.ended && polling.ended; }));
    EXPECT_EQ(receiving.results, std::vector<int>{-ECANCELED});
    EXPECT_EQ(polling.results, std::vector<int>{-ECANCELED});
    kernel.cancel(receiving);  // of an idle one: nothing
    EXPECT_EQ(kernel.in_flight(), 0U);
    close(pair);
}

TEST_P(SimulatedKernelTest, K3_what_won_against_the_cancel_is_delivered) {
    const Pair pair = connected();
    std::string sent;
    std::string got;
    for (int i = 0; i < 60; ++i) {
        const std::string text(static_cast<std::size_t>(1 + i % 7),
                               static_cast<char>('a' + i % 26));
        sent += text;
        for (std::size_t done = 0; done < text.size();) {
            const auto result =
                os::try_send(pair.client, std::as_bytes(std::span(text).subspan(done)));
            ASSERT_GT(result, 0);
            done += static_cast<std::size_t>(result);
        }
        Noted receiving(Opcode::receive, pair.server);
        ASSERT_TRUE(kernel.submit(receiving));
        if (i % 3 == 0) kernel.wait(1ms);
        kernel.cancel(receiving);
        ASSERT_TRUE(pump([&] { return receiving.ended; }));
        EXPECT_EQ(receiving.results.back(), -ECANCELED);
        got += receiving.data;
    }
    os::shutdown(pair.client, os::Shutdown::write);
    Noted rest(Opcode::receive, pair.server);
    ASSERT_TRUE(kernel.submit(rest));
    ASSERT_TRUE(pump([&] { return rest.ended; }));
    EXPECT_EQ(rest.results.back(), 0);
    EXPECT_EQ(got + rest.data, sent);
    close(pair);
}

TEST_P(SimulatedKernelTest, K5_callbacks_may_submit_cancel_and_reclaim) {
    const Pair pair = connected();
    static SimulatedKernel* the_kernel = nullptr;
    static Noted* other = nullptr;
    the_kernel = &kernel;
    Noted receiving(Opcode::receive, pair.server);
    Noted polling(Opcode::poll, pair.client);
    polling.events = POLLIN;
    other = &polling;
    receiving.then = [](Noted& self, const Completion& completion) {
        the_kernel->reclaim(*other);
        if (completion.more) the_kernel->reclaim(self);  // itself, in the middle of it
    };
    ASSERT_TRUE(kernel.submit(receiving));
    ASSERT_TRUE(kernel.submit(polling));
    os::try_send(pair.client, std::as_bytes(std::span("hello", 5)));
    ASSERT_TRUE(pump([&] { return !receiving.results.empty(); }));
    EXPECT_EQ(kernel.in_flight(), 0U);
    EXPECT_TRUE(polling.results.empty());
    EXPECT_EQ(receiving.results.size(), 1U);
    close(pair);
}

TEST_P(SimulatedKernelTest, K6_input_comes_before_output) {
    const Pair pair = connected();
    static std::string order;
    order.clear();
    network.faults.late_completion = 0;
    Noted input(Opcode::poll, pair.client);
    input.events = POLLIN;
    input.then = [](Noted&, const Completion&) { order += "input "; };
    Noted output(Opcode::poll, pair.client);
    output.events = POLLOUT;
    output.then = [](Noted&, const Completion&) { order += "output"; };
    os::try_send(pair.server, std::as_bytes(std::span("x", 1)));
    agenda.advance_to(agenda.now() + 1s);
    ASSERT_TRUE(kernel.submit(output));
    ASSERT_TRUE(kernel.submit(input));
    kernel.wait(Duration::zero());
    EXPECT_EQ(order, "input output");
    close(pair);
}

TEST_P(SimulatedKernelTest, K7_wake_ends_a_wait_now_or_later) {
    kernel.wake();
    kernel.wake();
    const TimePoint start = kernel.now();
    kernel.wait(1h);
    EXPECT_EQ(kernel.now(), start);
    kernel.wait(1h);  // wakes coalesce
    EXPECT_EQ(kernel.now(), start + 1h);
}

TEST_P(SimulatedKernelTest, accept_gives_every_connection) {
    const int listener = listen(81);
    Noted accepting(Opcode::accept, listener);
    ASSERT_TRUE(kernel.submit(accepting));
    std::vector<int> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(os::stream_socket(AF_INET));
        EXPECT_EQ(os::connect(clients.back(), *SocketAddress::parse("127.0.0.1", 81)),
                  -EINPROGRESS);
    }
    ASSERT_TRUE(pump([&] { return accepting.results.size() == 8; }));
    kernel.reclaim(accepting);
    for (const int fd : accepting.results) kernel.close(fd);
    for (const int fd : clients) kernel.close(fd);
    kernel.close(listener);
    EXPECT_EQ(host.open_descriptors(), std::vector<std::string>{});
}

TEST_P(SimulatedKernelTest, datagrams_come_whole_with_their_sender) {
    const int receiver = os::datagram_socket(AF_INET);
    const SocketAddress there = *SocketAddress::parse("127.0.0.1", 90);
    ASSERT_EQ(os::bind(receiver, there), 0);
    Noted receiving(Opcode::receive_from, receiver);
    static std::vector<SocketAddress> senders;
    senders.clear();
    receiving.then = [](Noted&, const Completion& completion) {
        const auto& datagram = static_cast<const kernel::Datagram&>(completion);
        senders.push_back(SocketAddress::from_raw(datagram.address, datagram.address_size));
    };
    ASSERT_TRUE(kernel.submit(receiving));
    const int sender = os::datagram_socket(AF_INET);
    ASSERT_EQ(os::connect(sender, there), 0);
    SocketAddress own;
    ASSERT_EQ(os::local_address(sender, own), 0);
    for (const int size : {1, 0, 3}) {
        const std::string text(static_cast<std::size_t>(size), 'x');
        EXPECT_EQ(os::try_send(sender, std::as_bytes(std::span(text))), size);
    }
    ASSERT_TRUE(pump([&] { return receiving.results.size() == 3; }));
    EXPECT_EQ(receiving.results, (std::vector<int>{1, 0, 3}));
    EXPECT_EQ(senders, std::vector<SocketAddress>(3, own));
    kernel.reclaim(receiving);
    kernel.close(sender);
    kernel.close(receiver);
}

TEST_P(SimulatedKernelTest, a_reset_leaves_what_had_arrived) {
    const Pair pair = connected();
    os::try_send(pair.client, std::as_bytes(std::span("x", 1)));
    agenda.advance_to(agenda.now() + 1s);
    os::set_option(pair.client, os::SocketOption::linger_reset, 1);
    kernel.close(pair.client);
    agenda.advance_to(agenda.now() + 1s);
    Noted receiving(Opcode::receive, pair.server);
    ASSERT_TRUE(kernel.submit(receiving));
    ASSERT_TRUE(pump([&] { return receiving.ended; }));
    EXPECT_EQ(receiving.results, (std::vector<int>{1, -ECONNRESET}));
    EXPECT_EQ(os::try_send(pair.server, std::as_bytes(std::span("x", 1))), -EPIPE);
    kernel.close(pair.server);
}

TEST_P(SimulatedKernelTest, bad_descriptors_are_answered_inline) {
    Noted receiving(Opcode::receive, os::kFirstSimulated + 5);
    EXPECT_FALSE(kernel.submit(receiving));
    EXPECT_EQ(receiving.inline_result, -EBADF);
    Noted real(Opcode::receive, 0);
    EXPECT_FALSE(kernel.submit(real));
    EXPECT_EQ(real.inline_result, -EBADF);
    const Pair pair = connected();
    Noted first(Opcode::receive, pair.client);
    Noted second(Opcode::receive, pair.client);
    EXPECT_TRUE(kernel.submit(first));
    EXPECT_FALSE(kernel.submit(second));
    EXPECT_EQ(second.inline_result, -EBUSY);
    kernel.reclaim(first);
    close(pair);
}

TEST_P(SimulatedKernelTest, K2_calls_on_files_are_answered_once_in_their_time) {
    const os::FileCall open{
        .kind = os::FileCall::Kind::open, .flags = O_WRONLY | O_CREAT, .path = "file"};
    Noted opening(Opcode::file, -1);
    opening.file_call = &open;
    const TimePoint before = kernel.now();
    ASSERT_TRUE(kernel.submit(opening));
    EXPECT_EQ(kernel.in_flight(), 1u);
    ASSERT_TRUE(pump([&] { return opening.ended; }));
    EXPECT_EQ(opening.results, (std::vector<int>{os::kFirstSimulatedFile}));
    EXPECT_GT(kernel.now(), before);
    kernel.close(opening.results.front());
    EXPECT_EQ(host.open_descriptors(), std::vector<std::string>());
}

TEST_P(SimulatedKernelTest, K3_a_cancelled_call_on_a_file_has_happened_or_not) {
    const os::FileCall mkdir{.kind = os::FileCall::Kind::mkdir, .mode = 0777, .path = "directory"};
    for (int i = 0; i < 50; ++i) {
        Noted making(Opcode::file, -1);
        making.file_call = &mkdir;
        ASSERT_TRUE(kernel.submit(making));
        kernel.cancel(making);
        ASSERT_TRUE(pump([&] { return making.ended; }));
        const bool there = host.disk().list("/").size() == 2;  // besides /tmp
        EXPECT_EQ(making.results, (std::vector<int>{there ? 0 : -ECANCELED}));
        host.disk().perform(
            {.kind = os::FileCall::Kind::unlink, .flags = AT_REMOVEDIR, .path = "directory"});
    }
}

TEST_P(SimulatedKernelTest, K4_what_a_reclaimed_open_has_opened_is_closed) {
    const os::FileCall open{
        .kind = os::FileCall::Kind::open, .flags = O_WRONLY | O_CREAT, .path = "file"};
    for (int i = 0; i < 20; ++i) {
        Noted opening(Opcode::file, -1);
        opening.file_call = &open;
        ASSERT_TRUE(kernel.submit(opening));
        kernel.reclaim(opening);
        EXPECT_EQ(kernel.in_flight(), 0u);
        EXPECT_EQ(host.open_descriptors(), std::vector<std::string>());
    }
}

TEST_P(SimulatedKernelTest, K2_a_close_closes_once) {
    Disk& disk = host.disk();
    for (int i = 0; i < 50; ++i) {
        os::FileCall open{
            .kind = os::FileCall::Kind::open, .flags = O_WRONLY | O_CREAT, .path = "first"};
        const os::FileCall close{.kind = os::FileCall::Kind::close, .fd = disk.perform(open)};
        Noted closing(Opcode::file, -1);
        closing.file_call = &close;
        ASSERT_TRUE(kernel.submit(closing));
        open.path = "second";
        const int second = disk.perform(open);  // the number is free, or not yet
        ASSERT_TRUE(pump([&] { return closing.ended; }));
        EXPECT_EQ(closing.results, std::vector<int>{0});
        ASSERT_EQ(disk.open_files().size(), 1U) << "and not another file's number";
        disk.close(second);
    }
}

TEST_P(SimulatedKernelTest, K4_a_reclaimed_close_is_made) {
    const os::FileCall open{
        .kind = os::FileCall::Kind::open, .flags = O_WRONLY | O_CREAT, .path = "file"};
    for (int i = 0; i < 20; ++i) {
        const os::FileCall close{.kind = os::FileCall::Kind::close,
                                 .fd = host.disk().perform(open)};
        Noted closing(Opcode::file, -1);
        closing.file_call = &close;
        ASSERT_TRUE(kernel.submit(closing));
        kernel.reclaim(closing);
        EXPECT_EQ(host.open_descriptors(), std::vector<std::string>());
    }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulatedKernelTest, ::testing::Range(0, 8));

}  // namespace
}  // namespace asyncio::testing
