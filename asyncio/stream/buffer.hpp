// SPDX-License-Identifier: MIT
//
// Buffer: bytes that come in at the back and go out at the front.
//
// One block of memory. Taking from the front moves an offset; the block is compacted when the
// offset passes half of it, so every byte is moved at most once more. An empty buffer keeps at most
// kKept bytes of capacity: an idle connection costs next to nothing. Larger blocks go to a small
// cache of the thread, from which the next buffer that grows takes them: a busy connection that
// fills and empties its buffer for every message does not visit malloc (which, for blocks of this
// size at the top of its heap, would return the pages to the system and fault them in again).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace asyncio::stream {

/// The thread's spare blocks: at most kBlocks, of at most kLargestBlock bytes each.
class BlockCache {
  public:
    static constexpr std::size_t kBlocks = 16;
    static constexpr std::size_t kLargestBlock = 512u << 10;

    /// An empty string with a large capacity, or with none if there is no spare block.
    static std::string take() noexcept;
    static void give(std::string block) noexcept;
};

class Buffer {
  public:
    static constexpr std::size_t kKept = 1024;

    bool empty() const noexcept { return start_ == bytes_.size(); }
    std::size_t size() const noexcept { return bytes_.size() - start_; }
    std::string_view view() const noexcept {
        return std::string_view(bytes_.data() + start_, bytes_.size() - start_);
    }
    std::span<const std::byte> bytes() const noexcept { return std::as_bytes(std::span(view())); }

    void append(std::span<const std::byte> data) {
        if (start_ > bytes_.size() / 2) compact();
        if (bytes_.size() + data.size() > bytes_.capacity()) [[unlikely]]
            grow(bytes_.size() + data.size());
        bytes_.append(reinterpret_cast<const char*>(data.data()), data.size());
    }

    /// Put back what was taken out of the front.
    void prepend(std::span<const std::byte> data) {
        compact();
        bytes_.insert(0, reinterpret_cast<const char*>(data.data()), data.size());
    }

    /// Drop the first `count` bytes.
    void consume(std::size_t count) noexcept {
        start_ += count;
        if (start_ == bytes_.size()) clear();
    }

    /// The first `count` bytes, taken out.
    std::string take(std::size_t count) {
        std::string taken;
        if (start_ == 0 && count == bytes_.size() && count > kKept) {
            taken.swap(bytes_);
            return taken;
        }
        taken.assign(view().substr(0, count));
        consume(count);
        return taken;
    }

    void clear() noexcept {
        start_ = 0;
        bytes_.clear();
        if (bytes_.capacity() > kKept) give_block_back();
    }

  private:
    void compact() {
        bytes_.erase(0, start_);
        start_ = 0;
    }
    void grow(std::size_t needed);
    void give_block_back() noexcept;

    std::string bytes_;
    std::size_t start_ = 0;
};

}  // namespace asyncio::stream
