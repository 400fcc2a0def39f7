// SPDX-License-Identifier: MIT
//
// SimulatedInotify: an inotify instance of a simulated host: what it watches on the host's disk,
// and the records that nobody has read yet. The rules are Linux's:
//
//   what happens --is it asked for?--> full? --no--> like the last one? --no--> queued --> read
//                                        | yes            | yes: it is that one
//                                        '--> IN_Q_OVERFLOW, unless one is queued
//
//   - What happens to a file is told to who watches its directory, under the name by which it was
//     opened or found, and to who watches itself, without a name; in this order within an instance.
//   - A watch is of the file, not of its path. It ends with IN_IGNORED: when it is removed, when it
//     has told its IN_ONESHOT, or when its file is gone: without a name, and open nowhere.
//     IN_DELETE_SELF comes before.
//   - A queue is full when DiskFaults::watch_queue records are in it, or by chance
//     (DiskFaults::watch_overflow). IN_IGNORED is lost then as everything is.
//
// Each record is an event of the trace. A loss of power takes the instance away.
//
// Threads: of the simulation.
#pragma once

#include <asyncio/base/unique_function.hpp>
#include <asyncio/testing/disk.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <string_view>

namespace asyncio::testing {

/// What happens on a disk: in a directory to a name, or to a file, or both in one.
struct DiskEvent {
    std::uint32_t what;  // IN_...
    const SimulatedInode* directory = nullptr;
    std::string_view name = {};
    const SimulatedInode* inode = nullptr;
    std::uint32_t pair = 0;
    bool is_hidden = false;  // from IN_EXCL_UNLINK: to an open file that has lost its name
};

class SimulatedInotify {
  public:
    static constexpr std::size_t kMostInstances = 128;    // of a host; then EMFILE
    static constexpr std::size_t kMostWatches = 100'000;  // of an instance; then ENOSPC

    struct Record {
        int watch;
        std::uint32_t what;
        std::uint32_t pair = 0;
        std::string name = {};
    };

    /// `on_record` is told each one that is queued.
    SimulatedInotify(Disk& disk, UniqueFunction<void(const Record&)> on_record);
    SimulatedInotify(const SimulatedInotify&) = delete;
    SimulatedInotify& operator=(const SimulatedInotify&) = delete;
    ~SimulatedInotify();

    // As the functions of os/inotify.hpp.
    int add(const char* path, std::uint32_t what);
    int remove(int watch);
    std::ptrdiff_t read(std::span<std::byte> buffer);
    std::size_t unread_bytes() const noexcept;
    bool readable() const noexcept { return !queue_.empty(); }

    // --- for its disk ----------------------------------------------------------------------

    void tell(const DiskEvent& event);
    /// `inode` is gone.
    void end(const SimulatedInode& inode);
    void lose_power();

  private:
    struct Watch {
        const SimulatedInode* inode;
        std::uint32_t what;
    };
    using Watches = std::map<int, Watch>;  // by number

    Watches::iterator watch_of(const SimulatedInode* inode) noexcept;
    void tell(Watches::iterator watch, const DiskEvent& event, std::string_view name);
    void end(Watches::iterator watch);
    void put(Record record);

    Disk& disk_;
    UniqueFunction<void(const Record&)> on_record_;
    Watches watches_;
    int numbers_ = 0;  // never used again
    std::deque<Record> queue_;
    bool overflowed_ = false;  // it is in the queue
};

}  // namespace asyncio::testing
