// SPDX-License-Identifier: MIT
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file_call.hpp>

#include <atomic>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace asyncio::os {
namespace {

std::atomic<int> signals_handled{0};

TEST(FileCall, C4_a_call_that_signals_interrupt_goes_on) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    const Fd out(ends[0]);
    const Fd in(ends[1]);
    struct sigaction action = {};  // without SA_RESTART
    struct sigaction before = {};
    action.sa_handler = [](int) { ++signals_handled; };
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    char byte = 0;
    int result = 0;
    std::atomic<bool> ended = false;
    std::thread reader([&] {
        result =
            perform({.kind = FileCall::Kind::read, .fd = out.get(), .memory = &byte, .size = 1});
        ended = true;
    });
    while (signals_handled < 100 && !ended) {
        ::pthread_kill(reader.native_handle(), SIGUSR1);
        std::this_thread::yield();
    }
    ASSERT_EQ(::write(in.get(), "x", 1), 1);
    reader.join();
    ::sigaction(SIGUSR1, &before, nullptr);
    EXPECT_EQ(result, 1);
    EXPECT_EQ(byte, 'x');
}

}  // namespace
}  // namespace asyncio::os
