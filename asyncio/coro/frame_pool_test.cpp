// SPDX-License-Identifier: MIT
#include <asyncio/coro/frame_pool.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <malloc.h>

namespace asyncio::coro {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCached = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
constexpr bool kCached = false;
#else
constexpr bool kCached = true;
#endif
#else
constexpr bool kCached = true;
#endif

/// On a thread of its own, with a cache that nobody has used.
template <class F>
void on_a_new_thread(F&& f) {
    std::thread thread(std::forward<F>(f));
    thread.join();
}

TEST(FramePool, every_size_is_writable_aligned_and_distinct) {
    std::vector<std::pair<void*, std::size_t>> blocks;
    std::set<void*> addresses;
    for (std::size_t size = 1; size <= 2 * FramePool::kLargest; size += 7) {
        void* memory = FramePool::allocate(size);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 16, 0u);
        std::memset(memory, 0xab, size);
        blocks.emplace_back(memory, size);
        addresses.insert(memory);
    }
    EXPECT_EQ(addresses.size(), blocks.size());
    for (const auto& [memory, size] : blocks) FramePool::deallocate(memory, size);
}

TEST(FramePool, a_freed_block_is_the_next_one_given) {
    if (!kCached) GTEST_SKIP() << "no cache under AddressSanitizer";
    on_a_new_thread([] {
        void* a = FramePool::allocate(100);
        void* b = FramePool::allocate(100);
        FramePool::deallocate(a, 100);
        FramePool::deallocate(b, 100);
        EXPECT_EQ(FramePool::allocate(112), b);  // the same class: rounded to 16
        EXPECT_EQ(FramePool::allocate(97), a);
        void* other = FramePool::allocate(96);
        EXPECT_NE(other, a);
        FramePool::deallocate(a, 97);
        FramePool::deallocate(b, 112);
        FramePool::deallocate(other, 96);
    });
}

TEST(FramePool, classes_do_not_mix) {
    for (int round = 0; round < 3; ++round) {
        std::vector<void*> memory;
        for (std::size_t size = 16; size <= FramePool::kLargest; size += 16) {
            memory.push_back(FramePool::allocate(size));
            std::memset(memory.back(), round, size);
        }
        std::size_t size = 16;
        for (void* block : memory) {
            for (std::size_t i = 0; i < size; ++i)
                ASSERT_EQ(static_cast<unsigned char*>(block)[i], round);
            FramePool::deallocate(block, size);
            size += 16;
        }
    }
}

TEST(FramePool, a_block_may_be_freed_by_another_thread) {
    constexpr int kBlocks = 1000;
    std::vector<void*> blocks(kBlocks);
    on_a_new_thread([&] {
        for (void*& block : blocks) {
            block = FramePool::allocate(64);
            std::memset(block, 1, 64);
        }
    });
    on_a_new_thread([&] {
        void* own = FramePool::allocate(64);  // its cache is set up
        for (void* block : blocks) FramePool::deallocate(block, 64);
        FramePool::deallocate(own, 64);
        for (void*& block : blocks) block = FramePool::allocate(64);
        for (void* block : blocks) std::memset(block, 2, 64);
    });
    for (void* block : blocks) FramePool::deallocate(block, 64);
}

struct FreesAtThreadExit {
    ~FreesAtThreadExit() {
        if (memory == nullptr) return;
        FramePool::deallocate(memory, 48);
        FramePool::deallocate(FramePool::allocate(48), 48);
    }
    void* memory = nullptr;
};
thread_local FreesAtThreadExit late;

TEST(FramePool, works_while_the_thread_ends) {
    on_a_new_thread([] {
        late.memory = nullptr;  // constructed before the pool's: destroyed after it
        late.memory = FramePool::allocate(48);
    });
}

TEST(FramePool, a_thread_that_ends_gives_its_cache_back) {
    if (kSanitized) GTEST_SKIP() << "counts what malloc gave out";
    const std::size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    for (int i = 0; i < 20; ++i) {
        on_a_new_thread([] {
            std::vector<void*> blocks;
            for (int n = 0; n < 1000; ++n) blocks.push_back(FramePool::allocate(1024));
            for (void* block : blocks) FramePool::deallocate(block, 1024);
        });
    }
    const std::size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
    EXPECT_LT(after, before + (4u << 20));  // 20 MB went through
}

TEST(FramePool, the_cache_is_bounded) {
    if (!kCached || kSanitized) GTEST_SKIP() << "counts what malloc gave out";
    std::thread([] {
        constexpr std::size_t kBlocks = 3 * FramePool::kCachedBytesPerClass / 1024;
        std::vector<void*> blocks(kBlocks);
        for (void*& block : blocks) block = FramePool::allocate(1024);
        const std::size_t peak = mallinfo2().uordblks;
        for (void* block : blocks) FramePool::deallocate(block, 1024);
        const std::size_t rest = mallinfo2().uordblks;
        // Two thirds go back; one third stays in the cache.
        EXPECT_LT(rest, peak - 2 * FramePool::kCachedBytesPerClass + (1u << 20));
        EXPECT_GT(rest + FramePool::kCachedBytesPerClass + (2u << 20),
                  peak - 2 * FramePool::kCachedBytesPerClass);
    }).join();
}

}  // namespace
}  // namespace asyncio::coro
