// SPDX-License-Identifier: MIT
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_buffers.hpp>

#include <algorithm>

#include <sys/mman.h>

namespace asyncio::kernel {
namespace {

void* map(std::size_t size) noexcept {
    void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

IoUringBuffers::IoUringBuffers(IoUringRing& ring, unsigned count, Kind kind) noexcept
    : count_(count), buffer_size_(kind.buffer_size) {
    assert(count != 0 && (count & (count - 1)) == 0 && count <= 32768);
    entries_ = static_cast<io_uring_buf_ring*>(map(count * sizeof(io_uring_buf)));
    memory_ = static_cast<std::byte*>(map(count * buffer_size_));
    if (entries_ == nullptr || memory_ == nullptr) return;
    io_uring_buf_reg registration = {};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(entries_);
    registration.ring_entries = count;
    registration.bgid = kind.group;
    if (::io_uring_register_buf_ring(&ring.native(), &registration, 0) != 0) return;
    valid_ = true;
    while (lent_ < std::min(initially_lent, count_)) lend(lent_++);
}

IoUringBuffers::~IoUringBuffers() {
    if (entries_ != nullptr) ::munmap(entries_, count_ * sizeof(io_uring_buf));
    if (memory_ != nullptr) ::munmap(memory_, count_ * buffer_size_);
}

void IoUringBuffers::grow() noexcept {
    if (mean_size_ > small_message) return;
    const unsigned goal = std::min(lent_ * 2, count_);
    while (lent_ < goal) lend(lent_++);
}

}  // namespace asyncio::kernel
#endif
