// SPDX-License-Identifier: MIT
//
// What threads share below the loop: counted references, contexts, the memory of frames, the
// channel that wakes a kernel.
#include <asyncio/base/context.hpp>
#include <asyncio/base/context_var.hpp>
#include <asyncio/base/exception_group.hpp>
#include <asyncio/base/ref.hpp>
#include <asyncio/coro/frame_pool.hpp>
#include <asyncio/kernel/wake_channel.hpp>

#include <atomic>
#include <exception>
#include <stdexcept>
#include <thread>
#include <utility>

#include <sys/epoll.h>
#include <unistd.h>

#include "model.hpp"

using namespace asyncio;

namespace {

class Counted : public AtomicRefCounted {
  public:
    explicit Counted(int& ends) : ends_(&ends) {}
    void destroy() noexcept {
        ++*ends_;
        delete this;
    }
    int value = 7;

  private:
    int* ends_;
};

MODEL(the_last_of_two_references_destroys) {
    int ends = 0;
    Ref<Counted> mine(new Counted(ends));
    std::thread other([theirs = mine]() mutable {
        Ref<Counted> copy = theirs;
        MODEL_CHECK(copy->value == 7);
        theirs = {};
    });
    mine = {};
    other.join();
    MODEL_CHECK(ends == 1);
}

ContextVar<int> number(0);

MODEL(threads_run_in_copies_of_a_context) {
    Context context;
    context.run([] { number.set(1); });
    std::thread other([context] {
        const Context copy = context.copy();
        copy.run([] {
            MODEL_CHECK(number.get() == 1);
            number.set(2);
            MODEL_CHECK(number.get() == 2);
        });
    });
    const Context copy = context.copy();
    copy.run([] {
        number.set(3);
        MODEL_CHECK(number.get() == 3);
    });
    other.join();
    MODEL_CHECK(context.get(number) == 1);
}

MODEL(threads_share_a_context) {
    Context context;
    std::thread other([context] { context.run([] { number.set(2); }); });
    context.run([] {
        number.set(1);
        const int seen = number.get();
        MODEL_CHECK(seen == 1 || seen == 2);
    });
    other.join();
    const int left = *context.get(number);
    MODEL_CHECK(left == 1 || left == 2);
}

MODEL(frames_are_freed_by_another_thread) {
    constexpr std::size_t kSize = 512;
    std::atomic<void*> frame{nullptr};
    std::thread other([&] {
        void* mine = coro::FramePool::allocate(kSize);
        *static_cast<int*>(mine) = 1;
        if (void* theirs = frame.exchange(mine)) {
            coro::FramePool::deallocate(theirs, kSize);
        }
    });
    void* mine = coro::FramePool::allocate(kSize);
    *static_cast<int*>(mine) = 2;
    if (void* theirs = frame.exchange(mine)) coro::FramePool::deallocate(theirs, kSize);
    other.join();
    coro::FramePool::deallocate(frame.load(), kSize);
}

MODEL(two_wake_a_kernel_that_sleeps) {
    kernel::WakeChannel channel(kernel::WakeChannel::Mode::non_blocking);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLET;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, channel.fd(), &event);
    std::atomic<int> work{0};
    const auto add = [&] {
        work.fetch_add(1, std::memory_order_relaxed);
        channel.wake();
    };
    std::thread one(add);
    std::thread two(add);
    while (work.load(std::memory_order_relaxed) < 2) {
        ::epoll_wait(epoll, &event, 1, -1);
        channel.acknowledge();
    }
    one.join();
    two.join();
    ::close(epoll);
}

MODEL(threads_read_copies_of_a_group) {
    const auto group = std::make_exception_ptr(
        ExceptionGroup("several", {std::make_exception_ptr(std::runtime_error("one")),
                                   std::make_exception_ptr(std::runtime_error("two"))}));
    const auto read = [&] {
        try {
            std::rethrow_exception(group);
        } catch (const ExceptionGroup& error) {
            const ExceptionGroup copy = error;
            MODEL_CHECK(copy.what()[0] != 0);
        }
    };
    std::thread other(read);
    read();
    other.join();
}

}  // namespace
