// SPDX-License-Identifier: MIT
#include <asyncio/coro/frame_pool.hpp>

#include <new>
#include <utility>

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
            if (c.free != nullptr) FrameDepot::give_back(std::exchange(c.free, nullptr));
        }
    }
};

/// True if this thread has a cache.
bool FramePool::set_up_thread() noexcept {
    if (phase != Phase::unused) return phase == Phase::active;
    phase = Phase::active;
    static thread_local ThreadExit at_exit;
    (void)at_exit;
    for (std::size_t i = 1; i < kClasses; ++i)
        classes_[i].room = static_cast<std::int32_t>(kCachedBytesPerClass / (i * kGranule));
    return true;
}

void* FramePool::allocate_slowly(std::size_t size) {
    const std::size_t index = class_of(size);
    if (!ASYNCIO_FRAME_CACHE || index >= kClasses) return ::operator new(size);
    const FrameDepot::Batch batch = FrameDepot::take(index * kGranule);
    FreeBlock* rest = batch.first->next;
    if (set_up_thread()) {
        classes_[index].free = rest;
        classes_[index].room -= static_cast<std::int32_t>(batch.count - 1);
    } else if (rest != nullptr) {
        FrameDepot::give_back(rest);
    }
    return batch.first;
}

void FramePool::deallocate_slowly(void* memory, std::size_t size) noexcept {
    const std::size_t index = class_of(size);
    if (!ASYNCIO_FRAME_CACHE || index >= kClasses) {
        ::operator delete(memory);
        return;
    }
    const bool cached = set_up_thread();
    Class& c = classes_[index];
    c.free = ::new (memory) FreeBlock{c.free};
    if (--c.room < 0) shrink(c, cached ? FrameDepot::kBatchBytes / (index * kGranule) : 1);
}

/// Give `blocks` of the blocks freed last back: their first lines are in the CPU's cache.
void FramePool::shrink(Class& c, std::size_t blocks) noexcept {
    FreeBlock* const first = c.free;
    FreeBlock* last = first;
    std::size_t count = 1;
    for (; count < blocks && last->next != nullptr; ++count) last = last->next;
    c.free = std::exchange(last->next, nullptr);
    c.room += static_cast<std::int32_t>(count);
    FrameDepot::give_back(first);
}

}  // namespace asyncio::coro
