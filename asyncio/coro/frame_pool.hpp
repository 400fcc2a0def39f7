// SPDX-License-Identifier: MIT
//
// FramePool: the memory of coroutine frames, task states and callback nodes.
//
// Each thread keeps freed blocks in free lists by size class (multiples of 16 bytes up to 1 KiB)
// and hands them out again: two loads and two stores. What exceeds a class's share of the cache
// (kCachedBytesPerClass) goes back to malloc, so memory returns to the process after a peak. A
// block may be freed by another thread than the one that allocated it; it joins that thread's list.
//
// Under AddressSanitizer the cache is switched off (its limit is a variable set in the .cpp), so
// that use of a freed frame is found; the inline code is the same in every build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

namespace asyncio::coro {

class FramePool {
  public:
    static constexpr std::size_t kGranule = 16;
    static constexpr std::size_t kLargest = 1024;
    static constexpr std::size_t kCachedBytesPerClass = 16u << 20;

    /// Memory for `size` bytes, aligned to 16. Throws std::bad_alloc.
    [[nodiscard]] static void* allocate(std::size_t size) {
        const std::size_t index = class_of(size);
        if (index < kClasses) {
            Class& c = classes_[index];
            if (Block* block = c.free) {
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
                c.free = ::new (memory) Block{c.free};
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

    struct Block {
        Block* next;
    };
    struct Class {
        Block* free = nullptr;
        std::int32_t room = 0;  // blocks that may still be cached; 0 until the thread's first use
    };
    struct ThreadExit;

    static constexpr std::size_t class_of(std::size_t size) noexcept {
        return (size + kGranule - 1) / kGranule;
    }
    static void* allocate_slowly(std::size_t size);
    static void deallocate_slowly(void* memory, std::size_t size) noexcept;
    static void set_up_thread() noexcept;

    static thread_local constinit Class classes_[kClasses];
};

}  // namespace asyncio::coro
