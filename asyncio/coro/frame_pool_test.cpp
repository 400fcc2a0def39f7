// SPDX-License-Identifier: MIT
#include <asyncio/coro/frame_pool.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio::coro {
namespace {

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
    if (!kCached) GTEST_SKIP() << "no cache under AddressSanitizer";
    const std::size_t before = FrameDepot::usage().in_use;
    for (int i = 0; i < 20; ++i) {
        on_a_new_thread([] {
            std::vector<void*> blocks;
            for (int n = 0; n < 1000; ++n) blocks.push_back(FramePool::allocate(1024));
            for (void* block : blocks) FramePool::deallocate(block, 1024);
        });
    }
    EXPECT_LE(FrameDepot::usage().in_use, before + FrameDepot::kSlabBytes);  // 20 MB went through
}

TEST(FramePool, the_cache_is_bounded) {
    if (!kCached) GTEST_SKIP() << "no cache under AddressSanitizer";
    on_a_new_thread([] {
        const std::size_t before = FrameDepot::usage().in_use;
        std::vector<void*> blocks(3 * FramePool::kCachedBytesPerClass / 1024);
        for (void*& block : blocks) block = FramePool::allocate(1024);
        EXPECT_GE(FrameDepot::usage().in_use, before + 3 * FramePool::kCachedBytesPerClass);
        for (void* block : blocks) FramePool::deallocate(block, 1024);
        // Two thirds go back; one third stays in the cache.
        EXPECT_LE(FrameDepot::usage().in_use,
                  before + FramePool::kCachedBytesPerClass + 2 * FrameDepot::kSlabBytes);
    });
}

constexpr std::size_t kPeak = 96u << 20;  // bytes, well beyond what is kept

/// A peak of kPeak bytes in blocks of 128; those for which `stays` says so are returned.
template <class Stays>
std::vector<void*> survivors_of_a_peak(Stays&& stays) {
    std::vector<void*> blocks(kPeak / 128);
    for (void*& block : blocks) {
        block = FramePool::allocate(128);
        std::memset(block, 3, 128);
    }
    std::vector<void*> survivors;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        if (stays(i))
            survivors.push_back(blocks[i]);
        else
            FramePool::deallocate(blocks[i], 128);
    }
    return survivors;
}

TEST(FramePool, after_a_peak_the_address_space_returns_to_the_system) {
    if (!kCached) GTEST_SKIP() << "no cache under AddressSanitizer";
    on_a_new_thread([] {
        const std::size_t before = FrameDepot::usage().mapped;
        EXPECT_TRUE(survivors_of_a_peak([](std::size_t) { return false; }).empty());
        EXPECT_LE(FrameDepot::usage().mapped,
                  before + FrameDepot::kKeptBytes + 4 * FrameDepot::kRegionBytes);
    });
}

TEST(FramePool, a_few_survivors_do_not_hold_the_pages_of_a_peak) {
    if (!kCached) GTEST_SKIP() << "no cache under AddressSanitizer";
    on_a_new_thread([] {
        const FrameDepot::Usage before = FrameDepot::usage();
        // One in each region: none can be unmapped.
        constexpr std::size_t kPerRegion = FrameDepot::kRegionBytes / 128;
        const auto blocks =
            survivors_of_a_peak([](std::size_t i) { return i % kPerRegion == kPerRegion / 2; });
        ASSERT_GE(blocks.size(), kPeak / FrameDepot::kRegionBytes);
        const FrameDepot::Usage after = FrameDepot::usage();
        EXPECT_LE(after.kept, FrameDepot::kKeptBytes + after.in_use);
        EXPECT_LE(after.in_use, before.in_use + FramePool::kCachedBytesPerClass +
                                    (blocks.size() + 2) * FrameDepot::kSlabBytes);
        for (void* block : blocks) {
            for (int i = 0; i < 128; ++i) ASSERT_EQ(static_cast<unsigned char*>(block)[i], 3);
            FramePool::deallocate(block, 128);
        }
        // And what has lost its pages can be used again.
        EXPECT_TRUE(survivors_of_a_peak([](std::size_t) { return false; }).empty());
    });
}

TEST(FramePool, threads_share_the_depot) {
    constexpr int kThreads = 4;
    constexpr int kRounds = 20'000;
    std::atomic<void*> passed{nullptr};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kRounds; ++i) {
                void* mine = FramePool::allocate(144);
                std::memset(mine, t, 144);
                void* theirs = passed.exchange(mine);
                if (theirs != nullptr) FramePool::deallocate(theirs, 144);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_NE(passed.load(), nullptr);
    FramePool::deallocate(passed.load(), 144);
}

}  // namespace
}  // namespace asyncio::coro
