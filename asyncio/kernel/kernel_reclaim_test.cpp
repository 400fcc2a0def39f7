// SPDX-License-Identifier: MIT
//
// What is taken back: an operation by its owner, from within callbacks too, and all of them by the
// kernel's end. What came meanwhile is handed over or disposed of.
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/kernel_fixture_test.hpp>

#include <memory>
#include <string>
#include <vector>

namespace asyncio::kernel::testing {
namespace {

using Kernel = KernelFixture;  // its variants: kernel_test.cpp

/// A client whose end leaves nothing in TIME_WAIT.
Fd connect_for_a_reset(const SocketAddress& address) {
    Fd client(os::stream_socket(AF_INET));
    os::set_option(client.get(), os::SocketOption::linger_reset, 1);
    os::connect(client.get(), address);
    return client;
}

TEST_P(Kernel, K4_A1_reclaim_disposes_of_an_accepted_descriptor) {
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    const int before = open_descriptors();
    for (int i = 0; i < 50; i++) {
        TestOperation accept(Opcode::accept, listening.get());
        ASSERT_TRUE(kernel->submit(accept));
        poll_now(*kernel, 1);
        const Fd client = connect_for_a_reset(address);
        kernel->reclaim(accept);
        EXPECT_TRUE(accept.idle());
        EXPECT_TRUE(accept.results.empty());
        Fd(os::try_accept(listening.get())).reset();
    }
    poll_now(*kernel);
    EXPECT_EQ(open_descriptors(), before);
}

TEST_P(Kernel, K4_A1_reclaim_disposes_of_what_came_meanwhile) {
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    const Pair quiet = unix_pair();
    const int before = open_descriptors();
    for (int i = 0; i < 10; i++) {
        TestOperation accept(Opcode::accept, listening.get());
        TestOperation other(Opcode::receive, quiet.a.get());
        ASSERT_TRUE(kernel->submit(accept));
        ASSERT_TRUE(kernel->submit(other));
        poll_now(*kernel, 1);
        const Fd client = connect_for_a_reset(address);
        kernel->reclaim(other);   // asks the system, which says that it has accepted
        kernel->reclaim(accept);  // nobody was told
        EXPECT_TRUE(accept.results.empty());
        Fd(os::try_accept(listening.get())).reset();
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST_P(Kernel, K4_reclaim_accept_hands_over_what_was_accepted) {
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    const Pair pair = unix_pair();
    int handed_over = 0;
    for (int i = 0; i < 50; i++) {
        TestOperation accept(Opcode::accept, listening.get());
        TestOperation other(Opcode::receive, pair.a.get());
        ASSERT_TRUE(kernel->submit(accept));
        ASSERT_TRUE(kernel->submit(other));
        poll_now(*kernel, 1);
        const Fd client = connect_for_a_reset(address);
        kernel->reclaim(other);  // io_uring accepts meanwhile, but cannot tell yet
        std::vector<Fd> accepted;
        for (const int fd : kernel->reclaim_accept(accept)) accepted.emplace_back(fd);
        EXPECT_TRUE(accept.idle());
        EXPECT_TRUE(accept.results.empty());
        handed_over += static_cast<int>(accepted.size());
        if (accepted.empty()) accepted.emplace_back(os::try_accept(listening.get()));
        ASSERT_EQ(accepted.size(), 1u);
        ASSERT_TRUE(accepted[0]);
        ASSERT_TRUE(write_all(accepted[0].get(), "a"));
        char byte = 0;
        pollfd ready = {client.get(), POLLIN, 0};
        ASSERT_EQ(::poll(&ready, 1, 10'000), 1);
        EXPECT_EQ(::recv(client.get(), &byte, 1, 0), 1);
    }
    const bool accepts_ahead = !is_epoll() && GetParam().options.multishot;
    if (!accepts_ahead) {
        EXPECT_EQ(handed_over, 0);
    }
    if (accepts_ahead && GetParam().options.deferred) {
        EXPECT_GT(handed_over, 0);
    }
}

TEST_P(Kernel, K4_reclaim_keeps_what_others_were_told) {
    const Pair first = tcp_pair();
    const Pair second = tcp_pair();
    TestOperation keep(Opcode::receive, first.a.get());
    TestOperation take(Opcode::receive, second.a.get());
    ASSERT_TRUE(kernel->submit(keep));
    ASSERT_TRUE(kernel->submit(take));
    poll_now(*kernel);
    for (int i = 0; i < 100; i++) {
        ASSERT_TRUE(write_all(first.b.get(), "k"));
        ASSERT_TRUE(write_all(second.b.get(), "t"));
        kernel->reclaim(take);
        ASSERT_TRUE(kernel->submit(take));
    }
    ASSERT_TRUE(pump(*kernel, [&] { return keep.data.size() == 100; }));
    kernel->reclaim(keep);
    kernel->reclaim(take);
}

TEST_P(Kernel, K5_callbacks_may_submit_cancel_reclaim_and_destroy) {
    const Pair pair = tcp_pair();
    const Pair other = tcp_pair();
    TestOperation taken(Opcode::receive, other.a.get());
    TestOperation cancelled(Opcode::receive, other.b.get());
    auto own = std::make_unique<TestOperation>(Opcode::poll, pair.a.get());
    TestOperation next(Opcode::receive, pair.a.get());
    own->events = POLLIN;
    own->then = [&](const Completion&) {
        kernel->reclaim(taken);
        kernel->cancel(cancelled);
        EXPECT_TRUE(kernel->submit(next));
        own.reset();
    };
    ASSERT_TRUE(kernel->submit(taken));
    ASSERT_TRUE(kernel->submit(cancelled));
    ASSERT_TRUE(kernel->submit(*own));
    ASSERT_TRUE(write_all(pair.b.get(), "go"));
    ASSERT_TRUE(pump(*kernel, [&] { return next.data == "go" && cancelled.ended(); }));
    EXPECT_TRUE(taken.results.empty());
    EXPECT_EQ(cancelled.last(), -ECANCELED);
    kernel->reclaim(next);
}

TEST_P(Kernel, K5_a_receive_may_be_taken_back_by_its_own_callback) {
    const Pair pair = tcp_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    receive.then = [&](const Completion&) { kernel->reclaim(receive); };
    for (int i = 1; i <= 20; i++) {
        ASSERT_TRUE(write_all(pair.b.get(), "x"));
        ASSERT_TRUE(kernel->submit(receive));
        ASSERT_TRUE(pump(*kernel, [&] { return receive.data.size() == std::size_t(i); }));
        EXPECT_TRUE(receive.idle());
    }
}

TEST_P(Kernel, A11_destruction_takes_everything_back) {
    std::vector<Pair> pairs;
    std::vector<std::unique_ptr<TestOperation>> operations;
    for (int i = 0; i < 1'000; i++) {
        pairs.push_back(unix_pair());
        operations.push_back(std::make_unique<TestOperation>(Opcode::receive, pairs[i].a.get()));
        ASSERT_TRUE(kernel->submit(*operations.back()));
        if (i == 500) poll_now(*kernel);
    }
    for (int i = 0; i < 1'000; i += 3) ASSERT_TRUE(write_all(pairs[i].b.get(), "x"));
    for (int i = 0; i < 1'000; i += 7) kernel->cancel(*operations[i]);
    kernel.reset();
    for (const auto& operation : operations) {
        EXPECT_TRUE(operation->idle());
        EXPECT_FALSE(operation->ended());
    }
    pairs.clear();
    EXPECT_EQ(open_descriptors(), descriptors_before);
}

}  // namespace
}  // namespace asyncio::kernel::testing
