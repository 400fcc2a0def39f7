// SPDX-License-Identifier: MIT
//
// FramePool: the memory of coroutine frames, task states and callback nodes.
//
// Each thread keeps freed blocks in free lists by size class (multiples of 16 bytes up to 1 KiB)
// and hands them out again: two loads and two stores. A thread's blocks come in batches from the
// FrameDepot; what exceeds a class's share of the cache (kCachedBytesPerClass) and what a thread
// has when it ends goes back there, and from there to the system. A block may be freed by another
// thread than the one that allocated it; it joins that thread's list. Larger blocks are malloc's.
//
// Under AddressSanitizer cache and depot are switched off (the cache's limit is a variable set in
// the .cpp), so that use of a freed frame is found; the inline code is the same in every build.
#pragma once

#include <asyncio/coro/frame_depot.hpp>

#include <cstddef>
#include <cstdint>
#include <new>

namespace asyncio::coro {

class FramePool {
  public:
    static constexpr std::size_t kGranule = FrameDepot::kGranule;
    static constexpr std::size_t kLargest = FrameDepot::kLargest;
    static constexpr std::size_t kCachedBytesPerClass = 1u << 20;

    /// Memory for `size` bytes, aligned to 16. Throws std::bad_alloc.
    [[nodiscard]] static void* allocate(std::size_t size) {
        const std::size_t index = class_of(size);
        if (index < kClasses) {
            Class& c = classes_[index];
            if (FreeBlock* block = c.free) {
                c.free = block->next;
                ++c.room;
                return block;
            }
        }
        return allocate_slowly(size);
    }

    static void deallocate(void* memory, std::size_t size) noexcept {
        const std::size_t index = class_of(size);
        if (index < kClasses) {
            Class& c = classes_[index];
            if (c.room > 0) {
                --c.room;
                c.free = ::new (memory) FreeBlock{c.free};
                return;
            }
        }
        deallocate_slowly(memory, size);
    }

    /// Bytes a block of `size` really takes from the pool.
    static constexpr std::size_t rounded(std::size_t size) noexcept {
        return (size + kGranule - 1) / kGranule * kGranule;
    }

  private:
    static constexpr std::size_t kClasses = kLargest / kGranule + 1;

    struct Class {
        FreeBlock* free = nullptr;
        std::int32_t room = 0;  // blocks that may still be cached; 0 until the thread's first use
    };
    struct ThreadExit;

    static constexpr std::size_t class_of(std::size_t size) noexcept {
        return size == 0 ? 1 : (size + kGranule - 1) / kGranule;
    }
    static void* allocate_slowly(std::size_t size);
    static void deallocate_slowly(void* memory, std::size_t size) noexcept;
    static bool set_up_thread() noexcept;
    static void shrink(Class& c, std::size_t blocks) noexcept;

    static thread_local constinit Class classes_[kClasses];
};

}  // namespace asyncio::coro
