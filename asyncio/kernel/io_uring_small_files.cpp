// SPDX-License-Identifier: MIT
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_ring.hpp>
#include <asyncio/kernel/io_uring_small_files.hpp>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <new>
#include <utility>

#include <fcntl.h>
#include <liburing.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace asyncio::kernel {
namespace {

// Not yet in Debian 12's liburing.
constexpr int opcode_install = 54;
constexpr std::uint64_t resolve_cached = 0x20;

constexpr std::size_t block = SmallFile::largest;
// With what the second read takes; a cache line, so that blocks begin at different places in pages.
constexpr std::size_t stride = block + 64;

// Read by the system when it takes the record. No place is inherited, so O_CLOEXEC is refused.
constinit open_how how_to_open = {O_RDONLY | O_NONBLOCK, 0, resolve_cached};

using Kind = IoUringSlots::Kind;

constexpr std::uint8_t bit(Kind kind) noexcept {
    return static_cast<std::uint8_t>(
        1u << (static_cast<unsigned>(kind) - static_cast<unsigned>(Kind::small_open)));
}

void prepare_read(io_uring_sqe& record, int file, void* memory, unsigned size) noexcept {
    ::io_uring_prep_read(&record, file, memory, size, ~std::uint64_t{0});  // its own position
    record.rw_flags = RWF_NOWAIT;
    record.flags = IOSQE_FIXED_FILE;
}

/// (liburing's function would raise the process's RLIMIT_NOFILE where that is less than the table
/// has places. It is the user's: there is no table then.)
bool make_table(const io_uring& ring) noexcept {
    io_uring_rsrc_register table = {};
    table.nr = IoUringSmallFiles::most;
    table.flags = IORING_RSRC_REGISTER_SPARSE;
    return ::syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_FILES2, &table,
                     sizeof table) == 0;
}

}  // namespace

IoUringSmallFiles::IoUringSmallFiles(IoUringRing& ring) noexcept : ring_(ring) {
    if (!ring.knows(opcode_install) || ring.skip_success() == 0 || ring.capacity() < first_records)
        return;
    if (!make_table(ring.native())) return;
    memory_.reset(new (std::nothrow) std::byte[most * stride]);
    for (unsigned place = most; place != 0;)
        free_[free_count_++] = static_cast<std::uint8_t>(--place);
}

std::byte* IoUringSmallFiles::memory_of(unsigned place) const noexcept {
    return memory_.get() + place * stride;
}

unsigned IoUringSmallFiles::lend() noexcept {
    assert(!full());
    const unsigned number = free_[--free_count_];
    Place& place = places_[number];
    leftovers_ -= place.holds ? 1 : 0;
    place = {.holds = place.holds};
    return number;
}

void IoUringSmallFiles::give_back(unsigned number) noexcept {
    Place& place = places_[number];
    if (place.fd >= 0) ::close(place.fd);
    place.fd = -1;
    leftovers_ += place.holds ? 1 : 0;
    free_[free_count_++] = static_cast<std::uint8_t>(number);
}

void IoUringSmallFiles::write(unsigned number, const char* path, std::uint64_t tag) noexcept {
    Place& place = places_[number];
    const int file = static_cast<int>(number);
    std::byte* const memory = memory_of(number);
    io_uring_sqe* record = ring_.next_record();
    if (wants_install(number)) {
        place.installs = true;
        place.awaited = bit(Kind::small_install);
        ::io_uring_prep_rw(opcode_install, record, file, nullptr, 0, 0);
        record->flags = IOSQE_FIXED_FILE;
        record->user_data = IoUringSlots::with_kind(tag, Kind::small_install);
        return write_close(number);
    }
    place.awaited = bit(Kind::small_open) | bit(Kind::small_first) | bit(Kind::small_last);
    ::io_uring_prep_openat2_direct(record, AT_FDCWD, path, &how_to_open, number);
    record->user_data = IoUringSlots::with_kind(tag, Kind::small_open);
    record = ring_.next_record();
    prepare_read(*record, file, memory, block);
    record->user_data = IoUringSlots::with_kind(tag, Kind::small_first);
    record = ring_.next_record();
    prepare_read(*record, file, memory + block, 1);
    record->user_data = IoUringSlots::with_kind(tag, Kind::small_last);
}

bool IoUringSmallFiles::note(unsigned number, Kind kind, int result) noexcept {
    Place& place = places_[number];
    if ((place.awaited & bit(kind)) == 0) return false;  // told twice: no system should
    if ((place.awaited & (bit(kind) - 1)) != 0) place.in_order = false;
    place.awaited = static_cast<std::uint8_t>(place.awaited & ~bit(kind));
    switch (kind) {
        case Kind::small_open:
            place.is_open = result >= 0;
            if (place.is_open) place.holds = true;
            break;
        case Kind::small_first:
            place.got = result;
            break;
        case Kind::small_last:
            place.rest = result;
            break;
        default:
            place.fd = result;
    }
    return place.awaited == 0;
}

bool IoUringSmallFiles::is_read(const Place& place) noexcept {
    return place.is_open && place.in_order && place.got > 0 && place.rest == 0;
}

bool IoUringSmallFiles::wants_install(unsigned number) const noexcept {
    const Place& place = places_[number];
    return place.is_open && place.awaited == 0 && !place.installs && !is_read(place);
}

SmallFile IoUringSmallFiles::take(unsigned number) noexcept {
    Place& place = places_[number];
    std::byte* const memory = memory_of(number);
    SmallFile file;
    file.result = -EAGAIN;
    if (!is_read(place) && place.fd < 0) {
        // What the reads took may be lost: beginning anew would not do.
        if (place.installs && place.got > 0) file.result = place.fd;
        return file;
    }
    // Out of order: whose bytes they are is not known.
    file.result = place.in_order ? std::max(place.got, 0) : 0;
    if (place.rest == 1 && place.in_order) memory[file.result++] = memory[block];
    file.more = true;
    file.data = std::span(memory, static_cast<std::size_t>(file.result));
    file.fd = std::exchange(place.fd, -1);
    return file;
}

void IoUringSmallFiles::close_leftovers() noexcept {
    for (unsigned i = free_count_; i-- != 0 && leftovers_ != 0;) {
        Place& place = places_[free_[i]];
        if (!place.holds) continue;
        if (ring_.queued() == ring_.capacity()) return;
        write_close(free_[i]);
        leftovers_--;
    }
}

void IoUringSmallFiles::write_close(unsigned number) noexcept {
    io_uring_sqe* const record = ring_.next_record();
    ::io_uring_prep_close_direct(record, number);
    record->flags = ring_.skip_success();
    record->user_data = IoUringSlots::ignored_tag;
    places_[number].holds = false;
}

}  // namespace asyncio::kernel
#endif
