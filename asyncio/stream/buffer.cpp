// SPDX-License-Identifier: MIT
#include <asyncio/stream/buffer.hpp>

#include <array>
#include <utility>

namespace asyncio::stream {

namespace {

struct Spare {
    std::array<std::string, BlockCache::kBlocks> blocks;
    std::size_t count = 0;
};

Spare& spare() noexcept {
    static thread_local Spare instance;
    return instance;
}

}  // namespace

std::string BlockCache::take() noexcept {
    Spare& cache = spare();
    return cache.count > 0 ? std::exchange(cache.blocks[--cache.count], std::string())
                           : std::string();
}

void BlockCache::give(std::string block) noexcept {
    Spare& cache = spare();
    if (cache.count == kBlocks || block.capacity() > kLargestBlock) return;
    block.clear();
    cache.blocks[cache.count++] = std::move(block);
}

void Buffer::grow(std::size_t needed) {
    if (needed <= kKept) {
        bytes_.reserve(needed);
        return;
    }
    if (bytes_.capacity() > kKept) return;  // a block already: let the string double it
    std::string block = BlockCache::take();
    block.reserve(needed);
    block.append(bytes_);
    bytes_.swap(block);
}

void Buffer::give_block_back() noexcept { BlockCache::give(std::exchange(bytes_, std::string())); }

}  // namespace asyncio::stream
