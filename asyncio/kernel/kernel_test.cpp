// SPDX-License-Identifier: MIT
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/kernel_fixture_test.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <atomic>
#include <csignal>
#include <span>
#include <stdexcept>
#include <thread>

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>

namespace asyncio::kernel::testing {
namespace {

class Kernel : public KernelFixture {};
INSTANTIATE_TEST_SUITE_P(Variants, Kernel, variants(), name_of);

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

TEST_P(Kernel, K4_A1_reclaim_disposes_of_an_accepted_descriptor) {
    SocketAddress address = loopback();
    const Fd listening = listener(address);
    const int before = open_descriptors();
    for (int i = 0; i < 50; i++) {
        TestOperation accept(Opcode::accept, listening.get());
        ASSERT_TRUE(kernel->submit(accept));
        poll_now(*kernel, 1);
        const Fd client(os::stream_socket(AF_INET));
        os::set_option(client.get(), os::SocketOption::linger_reset, 1);
        os::connect(client.get(), address);
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
        const Fd client(os::stream_socket(AF_INET));
        os::set_option(client.get(), os::SocketOption::linger_reset, 1);
        os::connect(client.get(), address);
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
        const Fd client(os::stream_socket(AF_INET));
        os::set_option(client.get(), os::SocketOption::linger_reset, 1);
        os::connect(client.get(), address);
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

TEST_P(Kernel, K7_wake_before_wait_makes_it_return) {
    for (int i = 0; i < 100; i++) {
        kernel->wake();
        kernel->wake();
        EXPECT_TRUE(kernel->may_have_events());
        kernel->wait(std::nullopt);
    }
}

TEST_P(Kernel, K7_wakes_from_threads_are_not_lost) {
    constexpr int rounds = 2'000;
    std::atomic<int> asked = 0;
    std::atomic<int> answered = 0;
    std::thread waker([&] {
        for (int i = 1; i <= rounds; i++) {
            asked.store(i);
            kernel->wake();
            while (answered.load() < i) std::this_thread::yield();
        }
    });
    while (answered.load() < rounds) {
        kernel->wait(std::nullopt);
        answered.store(asked.load());
    }
    waker.join();
}

asyncio::kernel::Kernel* kernel_of_handler = nullptr;

// ThreadSanitizer puts a signal's handler off until the thread calls something it intercepts: one
// that came just before the wait is not run before the wait ends. So there the wait must end by
// itself.
#if defined(__SANITIZE_THREAD__)
constexpr std::optional<Duration> signal_patience = 10ms;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr std::optional<Duration> signal_patience = 10ms;
#else
constexpr std::optional<Duration> signal_patience = std::nullopt;
#endif
#else
constexpr std::optional<Duration> signal_patience = std::nullopt;
#endif

TEST_P(Kernel, K7_wake_from_a_signal_handler) {
    kernel_of_handler = kernel.get();
    struct sigaction action = {};
    struct sigaction before = {};
    action.sa_handler = [](int) { kernel_of_handler->wake(); };
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    const pthread_t loop_thread = ::pthread_self();
    for (int i = 0; i < 100; i++) {
        std::thread sender([&] { ::pthread_kill(loop_thread, SIGUSR1); });
        kernel->wait(signal_patience);  // returns although nothing else happens
        sender.join();
    }
    ::sigaction(SIGUSR1, &before, nullptr);
}

TEST_P(Kernel, C4_signals_do_not_disturb_operations) {
    const Pair pair = tcp_pair();
    struct sigaction action = {};
    struct sigaction before = {};
    action.sa_handler = [](int) {};
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    std::atomic<bool> stop = false;
    const pthread_t loop_thread = ::pthread_self();
    std::thread sender([&] {
        while (!stop.load()) {
            ::pthread_kill(loop_thread, SIGUSR1);
            std::this_thread::yield();
        }
    });
    TestOperation receive(Opcode::receive, pair.a.get());
    EXPECT_TRUE(kernel->submit(receive));
    for (std::size_t i = 1; i <= 500; i++) {
        EXPECT_TRUE(write_all(pair.b.get(), "x"));
        EXPECT_TRUE(pump(*kernel, [&] { return receive.data.size() >= i; }));
    }
    stop.store(true);
    sender.join();
    ::sigaction(SIGUSR1, &before, nullptr);
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

TEST_P(Kernel, attach_follows_the_thread_that_runs_it) {
    const Pair pair = unix_pair();
    const auto exchange = [&] {
        kernel->attach_to_thread();
        TestOperation receive(Opcode::receive, pair.a.get());
        EXPECT_TRUE(kernel->submit(receive));
        EXPECT_TRUE(write_all(pair.b.get(), "hello"));
        EXPECT_TRUE(pump(*kernel, [&] { return receive.data == "hello"; }));
        kernel->reclaim(receive);
        kernel->wake();
        kernel->wait(std::nullopt);
    };
    exchange();
    std::thread(exchange).join();
    exchange();
}

TEST_P(Kernel, attach_refuses_while_another_threads_ring_is_busy) {
    if (is_epoll()) GTEST_SKIP() << "epoll sets belong to no thread";
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    poll_now(*kernel);
    std::thread([&] { EXPECT_THROW(kernel->attach_to_thread(), std::logic_error); }).join();
    kernel->reclaim(receive);
}

TEST_P(Kernel, operations_may_be_submitted_before_any_thread_attached) {
    kernel = GetParam().chosen ? make_kernel() : make_io_uring_kernel(GetParam().options);
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    TestOperation cancelled(Opcode::receive, pair.b.get());
    TestOperation taken(Opcode::receive, pair.b.get());
    ASSERT_TRUE(kernel->submit(receive));
    ASSERT_TRUE(kernel->submit(cancelled));
    kernel->cancel(cancelled);
    if (!is_epoll()) {
        ASSERT_TRUE(kernel->submit(taken));
    }
    kernel->reclaim(taken);
    ASSERT_TRUE(write_all(pair.b.get(), "x"));
    std::thread([&] {
        kernel->attach_to_thread();
        EXPECT_TRUE(pump(*kernel, [&] { return receive.data == "x" && cancelled.ended(); }));
        kernel->reclaim(receive);
    }).join();
    EXPECT_TRUE(taken.results.empty());
}

TEST_P(Kernel, an_unattached_kernel_can_be_destroyed) {
    kernel = GetParam().chosen ? make_kernel() : make_io_uring_kernel(GetParam().options);
    const Pair pair = unix_pair();
    TestOperation receive(Opcode::receive, pair.a.get());
    ASSERT_TRUE(kernel->submit(receive));
    kernel.reset();
    EXPECT_TRUE(receive.idle());
}

}  // namespace
}  // namespace asyncio::kernel::testing
