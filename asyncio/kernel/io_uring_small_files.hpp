// SPDX-License-Identifier: MIT
//
// IoUringSmallFiles: files that the system has in memory, opened and read within the enter that
// takes the records of everybody else. Opcode::small_file on io_uring.
//
// A file takes three records, none linked to another: open into a place of the ring's own table of
// files, read, and read again from where the first has stopped. None of them may wait for a disk
// (RESOLVE_CACHED, RWF_NOWAIT), so the system makes each of them as it takes it, in their order,
// and says EAGAIN instead of putting one off. All three complete. The file was read to its end if
// they complete in order, the first read gave bytes, and the second gave none.
//
//             lend()           3 completions: all of it
//     free -----------> asked --------------------------------------> free, may hold a file
//       ^                 |  3 completions: not opened                     |          |
//       |                 |-----------------------------------------> free |          | lend()
//       |                 |  3 completions: opened, but no more            |          v
//       |                 '--> asked to install --- its completion ------->'        asked
//       |                                                                  |
//       '------------------------------ close record ----------------------'
//
// What was opened and not read to its end becomes an ordinary descriptor (FIXED_FD_INSTALL): it
// cannot be closed and opened again by other means, because it may be a FIFO, whose writer would be
// alone in between. For the same reason what the reads took goes with it. It leaves its place with
// that: place and descriptor have one position and one stream of bytes, from which reads behind the
// next open there would take, should that fail.
//
// A file that was read stays in its place until the next open there replaces it, or the records of
// the next enter close it, whichever is first: none stays open while the loop sleeps. Since an open
// that fails leaves the old file in its place, for the reads behind it to read, its own completion
// is asked for: only what follows a completion of success is the file's.
//
// The memory is ours and never given back before the ring: nobody's frame lends any.
//
// Facts about the system relied upon:
//   - FIXED_FD_INSTALL came with 6.8, long after the rest (openat2 into a place 5.15, a place
//   looked
//     up when the record's turn comes 5.18), so knowing it tells them.
//   - openat2 with RESOLVE_CACHED is never put off: "only retry if RESOLVE_CACHED wasn't already
//     set by application". Nor is a read with RWF_NOWAIT, neither to a thread nor to a poll. Files
//     that do not know RWF_NOWAIT answer EOPNOTSUPP.
//   - Records that are no parts of a chain and do not ask for a drain are begun one after the
//     other. Completions of one enter come in the order of their ends.
//   - Reads at position -1 move the file's own, as read() does.
//
// Threads: the kernel's.
#pragma once

#include <asyncio/kernel/io_uring_slots.hpp>
#include <asyncio/kernel/small_file.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace asyncio::kernel {

class IoUringRing;

class IoUringSmallFiles {
  public:
    /// Places in the table: so many files at once. More are read by other means.
    static constexpr unsigned most = 128;
    using Kind = IoUringSlots::Kind;

    /// REQUIRES: the thread of `ring`, which is enabled.
    explicit IoUringSmallFiles(IoUringRing& ring) noexcept;

    /// The system can, and has given memory and a table.
    bool valid() const noexcept { return memory_ != nullptr; }
    bool full() const noexcept { return free_count_ == 0; }

    unsigned lend() noexcept;
    void give_back(unsigned place) noexcept;

    /// Records that write() will take.
    unsigned records(unsigned place) const noexcept {
        return wants_install(place) ? install_records : first_records;
    }
    /// REQUIRES: room for them.
    void write(unsigned place, const char* path, std::uint64_t tag) noexcept;
    /// Of a completion. True if it was the last that was asked for.
    bool note(unsigned place, Kind kind, int result) noexcept;
    bool ended(unsigned place) const noexcept { return places_[place].awaited == 0; }

    /// Of what has ended: it is open and not read, and has to be written again.
    bool wants_install(unsigned place) const noexcept;
    /// Of what has ended: what to tell. A descriptor is the caller's.
    SmallFile take(unsigned place) noexcept;

    /// Places that nobody uses hold files.
    bool has_leftovers() const noexcept { return leftovers_ != 0; }
    /// As far as there is room for records.
    void close_leftovers() noexcept;

    static bool is_mine(Kind kind) noexcept { return kind >= Kind::small_open; }

  private:
    static constexpr unsigned first_records = 3;
    static constexpr unsigned install_records = 2;

    struct Place {
        int got = 0;               // by the first read
        int rest = 0;              // by the second
        int fd = -1;               // what install has given, or -errno
        std::uint8_t awaited = 0;  // completions to come: a bit for each kind
        bool in_order = true;
        bool is_open = false;   // this file
        bool installs = false;  // has asked for that
        bool holds = false;     // a file, of this reading or of one before
    };

    std::byte* memory_of(unsigned place) const noexcept;
    static bool is_read(const Place& place) noexcept;
    void write_close(unsigned place) noexcept;

    IoUringRing& ring_;
    std::unique_ptr<std::byte[]> memory_;
    std::array<Place, most> places_;
    std::array<std::uint8_t, most> free_;  // the last given back is lent first
    unsigned free_count_ = 0;
    unsigned leftovers_ = 0;
};

}  // namespace asyncio::kernel
