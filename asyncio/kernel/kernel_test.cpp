// SPDX-License-Identifier: MIT
//
// The rules that every kernel keeps (kernel.hpp), and each kind of operation.
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/kernel_fixture_test.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <memory>
#include <span>

#include <fcntl.h>
#include <sys/resource.h>

namespace asyncio::kernel::testing {
namespace {

using Kernel = KernelFixture;
INSTANTIATE_TEST_SUITE_P(Variants, Kernel, variants(), name_of);  // of all files

TEST_P(Kernel, K1_submit_never_calls_back) {
    const Pair pair = tcp_pair();
    ASSERT_TRUE(write_all(pair.b.get(), "already here"));
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    EXPECT_TRUE(receive.results.empty());
    EXPECT_EQ(kernel->in_flight(), 1u);
    ASSERT_TRUE(pump(*kernel, [&] { return receive.data == "already here"; }));

    TestOperation send(Opcode::send, pair.a.get());
    send.set_buffer("out", 3);
    const bool in_flight = kernel->submit(send);
    EXPECT_TRUE(send.results.empty());
    if (in_flight) {
        ASSERT_TRUE(pump(*kernel, [&] { return send.ended(); }));
    } else {
        EXPECT_TRUE(send.idle());
    }
    EXPECT_EQ(in_flight ? send.last() : send.inline_result, 3);
    EXPECT_EQ(send.finals, in_flight ? 1 : 0);
    kernel->reclaim(receive);
}

TEST_P(Kernel, K2_errors_are_results) {
    for (const Opcode code :
         {Opcode::accept, Opcode::connect, Opcode::receive, Opcode::send, Opcode::poll}) {
        const Fd file(::open("/dev/null", O_RDWR | O_CLOEXEC));
        for (const int fd : {-1, 19'999, file.get()}) {
            if (fd == file.get() && code == Opcode::poll) continue;
            TestOperation operation(code, fd);
            const SocketAddress address = loopback();
            operation.events = POLLIN;
            if (code == Opcode::send) operation.set_buffer("x", 1);
            if (code == Opcode::connect) operation.set_address(address);
            const bool in_flight = kernel->submit(operation);
            if (in_flight) {
                ASSERT_TRUE(pump(*kernel, [&] { return operation.ended(); }));
            }
            const int result = in_flight ? operation.last() : operation.inline_result;
            EXPECT_EQ(result, fd == file.get() ? -ENOTSOCK : -EBADF) << static_cast<int>(code);
        }
    }
}

TEST_P(Kernel, K2_a_peer_that_closes_ends_the_receive) {
    Pair pair = tcp_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    ASSERT_TRUE(write_all(pair.b.get(), "last words"));
    pair.b.reset();
    ASSERT_TRUE(pump(*kernel, [&] { return receive.ended(); }));
    EXPECT_EQ(receive.data, "last words");
    EXPECT_EQ(receive.last(), 0);
    // The end stays where it is.
    receive.reset();
    ASSERT_TRUE(kernel->submit(receive));
    ASSERT_TRUE(pump(*kernel, [&] { return receive.ended(); }));
    EXPECT_EQ(receive.last(), 0);
}

TEST_P(Kernel, K2_bytes_behind_passed_descriptors_arrive) {
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    poll_now(*kernel);
    const int passed = pair.b.get();
    const std::string text = "with it, ";
    ASSERT_GT(os::try_send_descriptors(pair.b.get(), std::as_bytes(std::span(text)), {&passed, 1}),
              0);
    ASSERT_TRUE(write_all(pair.b.get(), "behind it"));  // the system says both by one edge
    EXPECT_TRUE(pump(*kernel, [&] { return receive.data == "with it, behind it"; }));
    kernel->reclaim(receive);
}

TEST_P(Kernel, K2_a_reset_is_reported) {
    Pair pair = tcp_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    poll_now(*kernel);
    os::set_option(pair.b.get(), os::SocketOption::linger_reset, 1);
    pair.b.reset();
    ASSERT_TRUE(pump(*kernel, [&] { return receive.ended(); }));
    EXPECT_EQ(receive.last(), -ECONNRESET);
    TestOperation send(Opcode::send, pair.a.get());
    send.set_buffer("x", 1);
    const bool in_flight = kernel->submit(send);  // C5: no SIGPIPE
    if (in_flight) {
        ASSERT_TRUE(pump(*kernel, [&] { return send.ended(); }));
    }
    EXPECT_EQ(in_flight ? send.last() : send.inline_result, -EPIPE);
}

TEST_P(Kernel, K2_cancel_ends_every_kind) {
    const Pair pair = tcp_pair();
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    TestOperation accept(Opcode::accept, listening.get());
    TestOperation receive(Opcode::receive, pair.a.get());
    TestOperation poll(Opcode::poll, pair.b.get());
    poll.events = POLLIN;
    for (TestOperation* operation : {&accept, &receive, &poll}) {
        for (const bool started : {false, true}) {
            operation->reset();
            ASSERT_TRUE(kernel->submit(*operation));
            if (started) poll_now(*kernel);
            kernel->cancel(*operation);
            kernel->cancel(*operation);
            EXPECT_TRUE(operation->results.empty());
            ASSERT_TRUE(pump(*kernel, [&] { return operation->ended(); }));
            EXPECT_EQ(operation->results, std::vector<int>{-ECANCELED});
            kernel->cancel(*operation);  // idle: nothing happens
            poll_now(*kernel);
        }
    }
}

TEST_P(Kernel, K3_cancel_lost_delivers_result) {
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    TestOperation accept(Opcode::accept, listening.get());
    ASSERT_TRUE(kernel->submit(accept));
    poll_now(*kernel);
    const Fd client(os::stream_socket(AF_INET));
    os::connect(client.get(), address);
    // The completion is on its way to us; whoever wins, it is one or the other.
    kernel->cancel(accept);
    ASSERT_TRUE(pump(*kernel, [&] { return accept.ended(); }));
    EXPECT_EQ(accept.last(), -ECANCELED);
    ASSERT_LE(accept.results.size(), 2u);
    if (accept.results.size() == 2) kernel->close(accept.results[0]);
}

TEST_P(Kernel, K6_input_comes_before_output) {
    const Pair pair = unix_pair();
    const std::string filler(1 << 20, 'f');
    while (::send(pair.a.get(), filler.data(), filler.size(), MSG_NOSIGNAL) > 0) {
    }
    std::string order;
    TestOperation send(Opcode::send, pair.a.get());
    TestOperation receive(Opcode::receive, pair.a.get());
    send.set_buffer(filler.data(), 10);
    send.then = [&](const Completion&) { order += 'o'; };
    receive.then = [&](const Completion&) { order += 'i'; };
    ASSERT_TRUE(kernel->submit(send));  // the output is asked for first
    ASSERT_TRUE(kernel->submit(receive));
    poll_now(*kernel);
    ASSERT_EQ(order, "");
    std::string sink(1 << 20, 0);
    while (::recv(pair.b.get(), sink.data(), sink.size(), 0) > 0) {  // makes the output ready
    }
    ASSERT_TRUE(write_all(pair.b.get(), "in"));  // and only then the input
    ASSERT_TRUE(pump(*kernel, [&] { return order.size() >= 2; }));
    EXPECT_EQ(order, "io");
    kernel->reclaim(receive);
}

TEST_P(Kernel, C8_timeouts_are_never_early) {
    for (int i = 0; i < 60; i++) {
        const Duration timeout = 1ns + i * 37'111ns;
        const TimePoint begin = kernel->now();
        kernel->wait(timeout);
        EXPECT_GE(kernel->now() - begin, timeout);
    }
}

TEST_P(Kernel, nothing_in_flight_means_nothing_to_look_for) {
    poll_now(*kernel);
    EXPECT_FALSE(kernel->may_have_events());
    EXPECT_EQ(kernel->in_flight(), 0u);
}

TEST_P(Kernel, accept_brings_many_non_blocking_close_on_exec) {
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    TestOperation accept(Opcode::accept, listening.get());
    ASSERT_TRUE(kernel->submit(accept));
    std::vector<Fd> clients;
    for (int i = 0; i < 100; i++) {
        clients.emplace_back(os::stream_socket(AF_INET));
        os::connect(clients.back().get(), address);
    }
    ASSERT_TRUE(pump(*kernel, [&] { return accept.results.size() == 100; }));
    for (const int fd : accept.results) {
        EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        kernel->close(fd);
    }
    kernel->reclaim(accept);
}

TEST_P(Kernel, D1_a_full_descriptor_table_ends_the_accept_and_it_can_begin_again) {
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    TestOperation accept(Opcode::accept, listening.get());
    const Fd client(os::stream_socket(AF_INET));
    rlimit before = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    Fd highest(::dup(0));
    const rlimit full = {static_cast<rlim_t>(highest.get()), before.rlim_max};
    highest.reset();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &full), 0);
    // io_uring reads the limit when it takes the record, not when it accepts.
    ASSERT_TRUE(kernel->submit(accept));
    poll_now(*kernel);
    os::connect(client.get(), address);
    const bool ended = pump(*kernel, [&] { return accept.ended(); });
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(ended);
    EXPECT_EQ(accept.last(), -EMFILE);
    accept.reset();
    ASSERT_TRUE(kernel->submit(accept));
    ASSERT_TRUE(pump(*kernel, [&] { return !accept.results.empty(); }));
    ASSERT_GE(accept.last(), 0);
    kernel->close(accept.last());
    kernel->reclaim(accept);
}

TEST_P(Kernel, D10_connect_succeeds_or_says_why_not) {
    SocketAddress address = loopback();
    Fd listening = listener(address);
    for (const int expected : {0, -ECONNREFUSED}) {
        if (expected != 0) listening.reset();
        const Fd client(os::stream_socket(AF_INET));
        TestOperation connect(Opcode::connect, client.get());
        connect.set_address(address);
        const bool in_flight = kernel->submit(connect);
        if (in_flight) {
            ASSERT_TRUE(pump(*kernel, [&] { return connect.ended(); }));
        }
        EXPECT_EQ(in_flight ? connect.last() : connect.inline_result, expected);
        SocketAddress peer;
        EXPECT_EQ(os::peer_address(client.get(), peer), expected == 0 ? 0 : -ENOTCONN);
        kernel->close(connect.fd == client.get() ? ::dup(client.get()) : -1);
    }
}

TEST_P(Kernel, D3_gathered_sends_may_be_short_and_lose_nothing) {
    const Pair pair = unix_pair();
    std::string expected;
    std::string parts[5] = {"", std::string(300'000, 'a'), "", std::string(300'000, 'b'), ""};
    iovec list[5];
    for (int i = 0; i < 5; i++) {
        list[i] = {parts[i].data(), parts[i].size()};
        expected += parts[i];
    }
    TestOperation receive(Opcode::receive, pair.b.get());
    ASSERT_TRUE(kernel->submit(receive));
    for (std::size_t sent = 0, first = 0; sent < expected.size();) {
        TestOperation send(Opcode::send, pair.a.get());
        send.buffers = list + first;
        send.count = static_cast<std::uint32_t>(5 - first);
        const bool in_flight = kernel->submit(send);
        if (in_flight) {
            ASSERT_TRUE(pump(*kernel, [&] { return send.ended(); }));
        }
        auto taken = static_cast<std::size_t>(in_flight ? send.last() : send.inline_result);
        ASSERT_LE(taken, expected.size() - sent);
        sent += taken;
        while (first < 5 && taken >= list[first].iov_len) taken -= list[first++].iov_len;
        if (first < 5) {
            list[first].iov_base = static_cast<char*>(list[first].iov_base) + taken;
            list[first].iov_len -= taken;
        }
        poll_now(*kernel);
    }
    ASSERT_TRUE(pump(*kernel, [&] { return receive.data.size() >= expected.size(); }));
    EXPECT_TRUE(receive.data == expected);
    kernel->reclaim(receive);
}

TEST_P(Kernel, D20_poll_is_level_triggered_once_and_takes_any_file) {
    const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    int pipe_ends[2];
    ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
    const Fd reading(pipe_ends[0]);
    const Fd writing(pipe_ends[1]);
    ASSERT_EQ(::write(writing.get(), "x", 1), 1);
    for (const int fd : {file.get(), reading.get(), reading.get()}) {
        TestOperation poll(Opcode::poll, fd);
        poll.events = POLLIN;
        const bool in_flight = kernel->submit(poll);
        if (in_flight) {
            ASSERT_TRUE(pump(*kernel, [&] { return poll.ended(); }));
        }
        EXPECT_EQ(in_flight ? poll.last() : poll.inline_result, POLLIN);
    }
}

TEST_P(Kernel, poll_watches_both_directions_of_one_descriptor) {
    const Pair pair = unix_pair();
    TestOperation in(Opcode::poll, pair.a.get());
    TestOperation out(Opcode::poll, pair.a.get());
    in.events = POLLIN;
    out.events = POLLOUT;
    ASSERT_TRUE(kernel->submit(in));
    ASSERT_TRUE(kernel->submit(out));
    ASSERT_TRUE(pump(*kernel, [&] { return out.ended(); }));
    EXPECT_EQ(out.last(), POLLOUT);
    poll_now(*kernel);
    EXPECT_FALSE(in.ended());
    ASSERT_TRUE(write_all(pair.b.get(), "x"));
    ASSERT_TRUE(pump(*kernel, [&] { return in.ended(); }));
    EXPECT_EQ(in.last(), POLLIN);
}

TEST_P(Kernel, poll_survives_a_descriptor_closed_behind_its_back) {
    for (int i = 0; i < 5; i++) {  // the same number again and again
        const Pair pair = unix_pair();
        TestOperation poll(Opcode::poll, pair.a.get());
        poll.events = POLLIN;
        ASSERT_TRUE(kernel->submit(poll));
        ASSERT_TRUE(write_all(pair.b.get(), "x"));
        ASSERT_TRUE(pump(*kernel, [&] { return poll.ended(); }));
    }
}

TEST_P(Kernel, A12_D13_reused_descriptors_hear_only_their_own) {
    std::uint32_t seed = 7;
    for (int i = 0; i < 500; i++) {
        Pair pair = tcp_pair();
        TestOperation receive(Opcode::receive, pair.a.get());
        ASSERT_TRUE(kernel->submit(receive));
        if ((seed = seed * 1664525 + 1013904223) >> 31) poll_now(*kernel, 1);
        ASSERT_TRUE(write_all(pair.b.get(), std::to_string(i)));
        if (i % 2 == 0) {
            ASSERT_TRUE(
                pump(*kernel, [&] { return receive.data.size() == std::to_string(i).size(); }));
            EXPECT_EQ(receive.data, std::to_string(i));
        }
        kernel->reclaim(receive);
        os::set_option(pair.a.get(), os::SocketOption::linger_reset, 1);
        kernel->close(pair.a.release());
    }
    poll_now(*kernel);
}

TEST_P(Kernel, D13_an_event_of_the_same_wait_does_not_reach_a_new_owner) {
    Pair pairs[] = {tcp_pair(), tcp_pair()};
    const Pair fresh = unix_pair();
    std::unique_ptr<TestOperation> polls[2];
    Fd reused;
    std::unique_ptr<TestOperation> late;
    for (int i = 0; i < 2; i++) {
        polls[i] = std::make_unique<TestOperation>(Opcode::poll, pairs[i].a.get());
        polls[i]->events = POLLIN;
        polls[i]->then = [&, i](const Completion&) {  // whichever is first, the other one goes
            const int other = 1 - i;
            if (late != nullptr) return;
            kernel->reclaim(*polls[other]);
            const int number = pairs[other].a.release();
            kernel->close(number);
            reused = Fd(::dup2(fresh.a.get(), number));
            late = std::make_unique<TestOperation>(Opcode::poll, number);
            late->events = POLLIN;
            EXPECT_TRUE(kernel->submit(*late));
        };
        ASSERT_TRUE(kernel->submit(*polls[i]));
    }
    poll_now(*kernel);
    for (const Pair& pair : pairs) ASSERT_TRUE(write_all(pair.b.get(), "x"));
    ASSERT_TRUE(pump(*kernel, [&] { return late != nullptr; }));
    poll_now(*kernel);
    EXPECT_TRUE(late->results.empty());
    ASSERT_TRUE(write_all(fresh.b.get(), "y"));
    ASSERT_TRUE(pump(*kernel, [&] { return late->ended(); }));
    kernel->close(reused.release());
}

}  // namespace
}  // namespace asyncio::kernel::testing
