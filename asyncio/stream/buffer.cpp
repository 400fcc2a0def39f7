// SPDX-License-Identifier: MIT
#include <asyncio/stream/buffer.hpp>
#include <asyncio/stream/bytes.hpp>

#include <array>
#include <cassert>
#include <memory>

namespace asyncio::stream {

namespace {

struct Spare {
    std::array<std::string, BlockCache::kBlocks> blocks;
    std::size_t count = 0;
    std::size_t bytes = 0;
};

Spare& spare() noexcept {
    static thread_local Spare instance;
    return instance;
}

}  // namespace

std::string BlockCache::take() noexcept {
    Spare& cache = spare();
    if (cache.count == 0) return {};
    std::string block = std::exchange(cache.blocks[--cache.count], std::string());
    cache.bytes -= block.capacity();
    return block;
}

void BlockCache::give(std::string block) noexcept {
    Spare& cache = spare();
    const std::size_t bytes = block.capacity();
    if (bytes < kSmallestBlock || bytes > kLargestBlock) return;
    if (cache.count == kBlocks || cache.bytes + bytes > kMostBytes) return;
    block.clear();
    cache.bytes += bytes;
    cache.blocks[cache.count++] = std::move(block);
}

/// Move what there is to the front of its memory.
void Buffer::compact() noexcept {
    Block& block = *block_;
    if (block.is_large()) {
        block.large.erase(0, block.start);
        return point_to_large();
    }
    block.end = block.size();
    std::memmove(block.small, block.small + block.start, block.end);
    block.start = 0;
    block.room = kSmall - block.end;
}

void Buffer::point_to_large() noexcept {
    block_->data = block_->large.data();
    block_->start = 0;
    block_->end = block_->large.size();
    block_->room = 0;
}

/// To what is there, or more than a block takes.
std::size_t Buffer::append_more(std::span<const std::byte> data) {
    if (data.empty()) return size();
    if (empty()) block_ = new_block({});
    if (data.size() > block_->room) return append_large(data);
    std::memcpy(block_->data + block_->end, data.data(), data.size());
    block_->end += data.size();
    block_->room -= data.size();
    return block_->size();
}

std::size_t Buffer::append_large(std::span<const std::byte> data) {
    if (block_->start > block_->end / 2) compact();
    if (data.size() <= block_->room) return append_more(data);
    if (!block_->is_large()) become_large(data.size());
    const std::size_t start = block_->start;
    block_->large.append(reinterpret_cast<const char*>(data.data()), data.size());
    point_to_large();
    block_->start = start;
    return block_->size();
}

/// Move into a string, with room for `more` bytes.
void Buffer::become_large(std::size_t more) {
    std::string large = BlockCache::take();
    try {
        large.reserve(block_->size() + more);
    } catch (...) {
        if (block_->size() == 0) clear();
        throw;
    }
    large.append(block_->begin(), block_->size());
    ::new (&block_->large) std::string(std::move(large));
    point_to_large();
}

/// The string, out of the block, which is small and of no use then.
std::string Buffer::take_large() noexcept {
    std::string taken = std::move(block_->large);
    std::destroy_at(&block_->large);
    block_->data = block_->small;
    return taken;
}

void Buffer::give_large_back() noexcept { BlockCache::give(take_large()); }

std::span<const std::byte> Buffer::bytes() const noexcept { return bytes_of(view()); }

void Buffer::prepend(std::span<const std::byte> data) {
    if (data.empty()) return;
    Buffer whole;
    whole.append(data);
    whole.append(bytes());
    swap(whole);
}

std::string Buffer::take(std::size_t count) {
    assert(count <= size());
    if (empty()) return {};
    const bool whole_string = block_->is_large() && block_->start == 0 && count == block_->end;
    std::string taken = whole_string ? take_large() : std::string(block_->begin(), count);
    if (whole_string)
        clear();
    else
        consume(count);
    return taken;
}

}  // namespace asyncio::stream
