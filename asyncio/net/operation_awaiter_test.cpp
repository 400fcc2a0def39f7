// SPDX-License-Identifier: MIT
//
// OperationAwaiter, by way of Connect: the states drawn in its header.
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/net/operation_awaiter.hpp>

#include <memory>
#include <string>

namespace asyncio {
namespace {

using namespace net_tests;

/// A connect that nobody answers: the listener's queue is full.
struct InTheAir {
    InTheAir() : listener(0), fd(os::stream_socket(AF_INET)) {
        for (Fd& other : others) other = raw_connect(listener.address.port());
    }
    ~InTheAir() { loop.kernel().close(fd.release()); }

    Coro<int> connect() {
        const int result = co_await net::Connect(loop, fd.get(), listener.address);
        co_return result;
    }
    void make_room() {
        while (Fd accepted = listener.accept()) reset(accepted);
    }

    EventLoop& loop = get_running_loop();
    RawListener listener;
    Fd others[3];
    Fd fd;
};

TEST(OperationAwaiter, gives_the_result) {
    testing::run([]() -> Coro<> {
        const RawListener listener;
        Fd fd(os::stream_socket(AF_INET));
        const int result = co_await net::Connect(get_running_loop(), fd.get(), listener.address);
        EXPECT_EQ(result, 0);
        EXPECT_TRUE(listener.accept());
        get_running_loop().kernel().close(fd.release());
    });
}

TEST(OperationAwaiter, gives_errors_as_negative_numbers) {
    testing::run([]() -> Coro<> {
        const SocketAddress nobody = loopback(1);
        Fd fd(os::stream_socket(AF_INET));
        EventLoop& loop = get_running_loop();
        const int refused = co_await net::Connect(loop, fd.get(), nobody);
        EXPECT_EQ(refused, -ECONNREFUSED);
        loop.kernel().close(fd.release());
        const int no_socket = co_await net::Connect(loop, -1, nobody);
        EXPECT_EQ(no_socket, -EBADF);
    });
}

TEST(OperationAwaiter, a_cancelled_task_resumes_when_the_kernel_let_go) {
    testing::run([]() -> Coro<> {
        InTheAir air;
        Task<int> task = create_task(air.connect());
        for (int i = 0; i < 5; ++i) co_await sleep(0s);
        const std::size_t in_flight = air.loop.kernel().in_flight();
        EXPECT_GE(in_flight, 1u);
        task.cancel("first");
        task.cancel("second");
        EXPECT_FALSE(task.done());
        const auto outcome = co_await as_outcome(task);
        EXPECT_EQ(error_of(outcome), "CancelledError: first");
        EXPECT_EQ(air.loop.kernel().in_flight(), in_flight - 1);
    });
}

TEST(OperationAwaiter, is_described_in_dumps) {
    testing::run([]() -> Coro<> {
        InTheAir air;
        Task<int> task = create_task(air.connect());
        for (int i = 0; i < 3; ++i) co_await sleep(0s);
        task.cancel();
        (void)co_await as_outcome(task);
        loop::OperationAwaiter awaiter(air.loop, kernel::Opcode::connect, "connect",
                                       [](kernel::Operation&) {});
        EXPECT_STREQ(awaiter.what(), "connect");
        EXPECT_FALSE(awaiter.await_ready());
    });
}

TEST(OperationAwaiter, may_be_cancelled_before_its_first_step) {
    testing::run([]() -> Coro<> {
        InTheAir air;
        const std::size_t in_flight = air.loop.kernel().in_flight();
        Task<int> task = create_task(air.connect());
        task.cancel();
        const auto outcome = co_await as_outcome(task);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_EQ(air.loop.kernel().in_flight(), in_flight);
    });
}

TEST(OperationAwaiter, its_frame_may_be_destroyed_in_flight) {
    const int before = open_descriptors();
    {
        auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        std::unique_ptr<InTheAir> air;
        loop->run_until_complete([&]() -> Coro<> {
            air = std::make_unique<InTheAir>();
            (void)create_task(air->connect());
            for (int i = 0; i < 3; ++i) co_await sleep(0s);
            EXPECT_GE(air->loop.kernel().in_flight(), 1u);
        });
        loop->close();
        EXPECT_EQ(loop->kernel().in_flight(), 0u);
        air = nullptr;
    }
    EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace asyncio
