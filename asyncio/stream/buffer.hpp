// SPDX-License-Identifier: MIT
//
// Buffer: bytes that come in at the back and go out at the front.
//
// An empty buffer is a null pointer: an idle connection costs nothing. The first bytes bring a
// block of 1 KiB from the pool of the thread, the last that go give it back; so busy connections
// hand the same few blocks to each other, warm in the cache. What does not fit moves into a string,
// which is compacted when its offset passes half of it: every byte is moved at most once more. The
// strings' memory comes from a small cache of the thread (malloc, for blocks of this size at the
// top of its heap, would return the pages to the system and fault them in again), and all of a
// large string can be taken without a copy.
//
//           first bytes             more than kSmall             the last bytes go
//   empty -------------> small ------------------------> large --------------------> empty
//     '<--- the last go ---'
//
// Invariant: there is a block if and only if there are bytes.
#pragma once

#include <asyncio/base/taken.hpp>
#include <asyncio/coro/frame_pool.hpp>

#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace asyncio::stream {

/// The thread's spare strings: at most kBlocks, each of kSmallestBlock to kLargestBlock bytes, and
/// kMostBytes together. Smaller ones malloc serves as fast, and a spare string keeps all the memory
/// below it in malloc's heap: a crowd that left would leave its peak behind.
class BlockCache {
  public:
    static constexpr std::size_t kBlocks = 16;
    static constexpr std::size_t kSmallestBlock = 64u << 10;
    static constexpr std::size_t kLargestBlock = 512u << 10;
    static constexpr std::size_t kMostBytes = 2u << 20;

    /// An empty string with a large capacity, or with none if there is no spare one.
    static std::string take() noexcept;
    static void give(std::string block) noexcept;
};

class Buffer {
  public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept : block_(taken(other.block_)) {}
    Buffer& operator=(Buffer other) noexcept {
        swap(other);
        return *this;
    }
    void swap(Buffer& other) noexcept {
        Block* const mine = block_;
        block_ = other.block_;
        other.block_ = mine;
    }
    ~Buffer() { clear(); }

    bool empty() const noexcept { return block_ == nullptr; }
    std::size_t size() const noexcept { return empty() ? 0 : block_->size(); }
    std::string_view view() const noexcept {
        return empty() ? std::string_view() : std::string_view(block_->begin(), block_->size());
    }
    std::span<const std::byte> bytes() const noexcept;

    /// Returns how many bytes there are now.
    std::size_t append(std::span<const std::byte> data) {
        if (!empty() || data.size() - 1 >= kSmall) [[unlikely]]
            return append_more(data);
        block_ = new_block(data);
        return data.size();
    }

    /// Put back what was taken out of the front.
    void prepend(std::span<const std::byte> data);

    /// Drop the first `count` bytes. REQUIRES: there are as many.
    [[gnu::always_inline]] void consume(std::size_t count) noexcept {
        if (empty()) return;
        block_->start += count;
        if (block_->start == block_->end) clear();
    }

    /// The first `count` bytes, taken out. REQUIRES: there are as many.
    std::string take(std::size_t count);

    void clear() noexcept {
        if (empty()) return;
        if (block_->is_large()) [[unlikely]]
            give_large_back();
        coro::FramePool::deallocate(taken(block_), sizeof(Block));
    }

  private:
    static constexpr std::size_t kBlockSize = 1024;
    static constexpr std::size_t kSmall = kBlockSize - 4 * sizeof(void*);

    struct Block {
        /// REQUIRES: so many fit.
        explicit Block(std::span<const std::byte> bytes) noexcept
            : end(bytes.size()), room(kSmall - bytes.size()) {
            if (!bytes.empty()) std::memcpy(small, bytes.data(), bytes.size());
        }
        ~Block() {}

        char* data = small;  // or that of `large`
        std::size_t start = 0;
        std::size_t end;
        std::size_t room;  // behind end, in `small`; none in `large`
        union {
            char small[kSmall];
            std::string large;
        };

        bool is_large() const noexcept { return data != small; }
        const char* begin() const noexcept { return data + start; }
        std::size_t size() const noexcept { return end - start; }
    };
    static_assert(sizeof(Block) == kBlockSize);

    static Block* new_block(std::span<const std::byte> bytes) {
        return ::new (coro::FramePool::allocate(sizeof(Block))) Block(bytes);
    }
    std::string take_large() noexcept;
    std::size_t append_more(std::span<const std::byte> data);
    std::size_t append_large(std::span<const std::byte> data);
    void become_large(std::size_t more);
    void compact() noexcept;
    void point_to_large() noexcept;
    void give_large_back() noexcept;

    Block* block_ = nullptr;
};

}  // namespace asyncio::stream
