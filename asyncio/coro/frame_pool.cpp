// SPDX-License-Identifier: MIT
#include <asyncio/coro/frame_pool.hpp>

#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define ASYNCIO_FRAME_CACHE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASYNCIO_FRAME_CACHE 0
#endif
#endif
#ifndef ASYNCIO_FRAME_CACHE
#define ASYNCIO_FRAME_CACHE 1
#endif

namespace asyncio::coro {

thread_local constinit FramePool::Class FramePool::classes_[kClasses] = {};

namespace {
enum class Phase : unsigned char { unused, active, over };
thread_local constinit Phase phase = Phase::unused;
}  // namespace

/// Gives a thread's cached blocks back when the thread ends.
struct FramePool::ThreadExit {
    ~ThreadExit() {
        phase = Phase::over;
        for (Class& c : classes_) {
            c.room = 0;
            while (Block* block = c.free) {
                c.free = block->next;
                ::operator delete(block);
            }
        }
    }
};

void FramePool::set_up_thread() noexcept {
    if (phase != Phase::unused) return;
    phase = Phase::active;
    if (!ASYNCIO_FRAME_CACHE) return;
    static thread_local ThreadExit at_exit;
    (void)at_exit;
    for (std::size_t i = 1; i < kClasses; ++i)
        classes_[i].room = static_cast<std::int32_t>(kCachedBytesPerClass / (i * kGranule));
}

void* FramePool::allocate_slowly(std::size_t size) {
    set_up_thread();
    return ::operator new(rounded(size));
}

void FramePool::deallocate_slowly(void* memory, std::size_t) noexcept { ::operator delete(memory); }

}  // namespace asyncio::coro
