// SPDX-License-Identifier: MIT
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file_call.hpp>

#include <atomic>
#include <csignal>
#include <thread>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
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

TEST(FileCall, what_is_in_memory_is_read_at_once_where_files_are_memory) {
    const Fd file(::memfd_create("in memory", MFD_CLOEXEC));  // of a tmpfs
    ASSERT_EQ(::write(file.get(), "content", 7), 7);
    char memory[16] = {};
    const FileCall read{.kind = FileCall::Kind::read,
                        .fd = file.get(),
                        .memory = memory,
                        .size = sizeof memory,
                        .offset = 3};
    EXPECT_EQ(perform_if_cached(read), 4);
    EXPECT_STREQ(memory, "tent");
}

TEST(FileCall, a_device_is_no_memory_where_its_name_is_in_a_tmpfs) {
    // What is read here gives zeros, at any place; others have hardware behind them.
    const Fd device(::open("/dev/full", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(device);
    char memory[16] = {};
    const FileCall read{.kind = FileCall::Kind::read,
                        .fd = device.get(),
                        .memory = memory,
                        .size = sizeof memory,
                        .offset = 0};
    EXPECT_EQ(perform_if_cached(read), -EAGAIN);
}

}  // namespace
}  // namespace asyncio::os
