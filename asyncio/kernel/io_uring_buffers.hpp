// SPDX-License-Identifier: MIT
//
// IoUringBuffers: the receive buffers of one ring, lent to the system through a provided-buffer
// ring. The system picks one per received piece; it is ours during the callback, then goes back.
//
// Large buffers, few of them: 4 KiB ones cut the throughput of large messages to a quarter, and at
// small messages the size does not matter. The memory is touched only
// where bytes arrived. The system takes buffers in turn, so all that are lent get touched: we begin
// with a few, warm in the cache, and lend more when they ran out (grow), unless it is large
// messages that fill them: sixteen of those are as much as a cache holds, and waiting for a buffer
// costs them less than memory that is cold (64 KiB echo: 19 us of CPU per message with 16, 27 us
// with 256).
//
// Invariant: every buffer is lent, or in a completion not yet delivered, or never lent so far.
// Threads: the ring's.
#pragma once

#include <asyncio/kernel/io_uring_ring.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

#include <liburing.h>

namespace asyncio::kernel {

class IoUringBuffers {
  public:
    struct Kind {
        unsigned short group;
        std::size_t buffer_size;
    };
    static constexpr Kind streams = {0, 64 * 1024};
    /// The largest datagram, and what the system puts before it: a header and its sender.
    static constexpr Kind datagrams = {1, 64 * 1024 + 256};
    static constexpr unsigned initially_lent = 16;

    /// `count` buffers, a power of two up to 32768, for `ring`; `valid()` tells whether the system
    /// took them. They must outlive the ring's last receive.
    IoUringBuffers(IoUringRing& ring, unsigned count, Kind kind) noexcept;
    ~IoUringBuffers();
    IoUringBuffers(const IoUringBuffers&) = delete;
    IoUringBuffers& operator=(const IoUringBuffers&) = delete;

    bool valid() const noexcept { return valid_; }
    unsigned lent() const noexcept { return lent_; }

    std::span<const std::byte> data(std::uint32_t completion_flags,
                                    std::size_t size) const noexcept {
        assert(size <= buffer_size_);
        return {memory_ + index_in(completion_flags) * buffer_size_, size};
    }

    /// Lend the buffer of a completion again.
    void give_back(std::uint32_t completion_flags) noexcept { lend(index_in(completion_flags)); }

    /// Account for a message of `size` bytes.
    void received(std::size_t size) noexcept {
        mean_size_ += (static_cast<std::int32_t>(size) - mean_size_) >> 3;
    }

    /// They ran out: double how many take part, if the messages are small.
    void grow() noexcept;

  private:
    std::size_t index_in(std::uint32_t completion_flags) const noexcept {
        const std::size_t index = completion_flags >> IORING_CQE_BUFFER_SHIFT;
        assert((completion_flags & IORING_CQE_F_BUFFER) != 0 && index < count_);
        return index;
    }
    void lend(std::size_t index) noexcept {
        io_uring_buf& entry = entries_->bufs[tail_ & (count_ - 1)];
        entry.addr = reinterpret_cast<std::uintptr_t>(memory_ + index * buffer_size_);
        entry.len = static_cast<std::uint32_t>(buffer_size_);
        entry.bid = static_cast<std::uint16_t>(index);
        io_uring_smp_store_release(&entries_->tail, ++tail_);
    }

    static constexpr std::int32_t small_message = 8 * 1024;

    const unsigned count_;
    const std::size_t buffer_size_;
    std::int32_t mean_size_ = 0;  // of the last few messages
    unsigned lent_ = 0;           // 0 .. lent_-1 take part
    std::uint16_t tail_ = 0;
    bool valid_ = false;
    io_uring_buf_ring* entries_ = nullptr;
    std::byte* memory_ = nullptr;
};

}  // namespace asyncio::kernel
