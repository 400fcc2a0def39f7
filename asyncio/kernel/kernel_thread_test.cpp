// SPDX-License-Identifier: MIT
//
// A kernel among threads and signals: who wakes it, who interrupts it, whose it is.
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/kernel/kernel_fixture_test.hpp>

#include <atomic>
#include <csignal>
#include <optional>
#include <stdexcept>
#include <thread>

#include <pthread.h>

namespace asyncio::kernel::testing {
namespace {

using Kernel = KernelFixture;  // its variants: kernel_test.cpp

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
