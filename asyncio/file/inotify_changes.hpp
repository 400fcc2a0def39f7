// SPDX-License-Identifier: MIT
//
// InotifyChanges: what the records of an inotify instance tell, in terms of the paths it watches.
//
//     add(): number -> path --- records ---> changes ... IN_IGNORED: `gone`, the number forgotten
//
// Records come under numbers that the system gave. One that is not known here is dropped: it is of
// a path that is just being added, or that nobody wants any more, because who added it was
// cancelled after the system had heard of it (take_unwanted()). What ended while it was being
// added is `gone` as soon as it is (`Adding` says that there may be such).
//
// An overflow is told behind everything that was in the queue when it was read, not in its place:
//
//     queue:  ... overflow, removed a                <- the queue is full again:
//             "created a" is lost, and no other overflow says so
//
// Linux queues one overflow at a time, so records behind it may be older than what was lost. Who
// looks for himself when he is told must not be told those later. What comes after has an overflow
// of its own if it is lost.
//
// Whatever the bytes, nothing is read behind them, and each path has at most one `gone`, as its
// last change. A torn record is told as an overflow, and so is what there was no memory for: by the
// read after the one that threw. Threads: one at a time.
#pragma once

#include <asyncio/file/watch.hpp>

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

struct inotify_event;

namespace asyncio::file {

class InotifyChanges {
  public:
    /// As long as it lives, a path is being added.
    class Adding {
      public:
        explicit Adding(InotifyChanges& changes) noexcept : changes_(changes) {
            ++changes_.adding_;
        }
        Adding(const Adding&) = delete;
        Adding& operator=(const Adding&) = delete;
        ~Adding() {
            if (--changes_.adding_ == 0) changes_.ended_early_.clear();
        }

      private:
        InotifyChanges& changes_;
    };

    /// From now on the records under `number` are about `path`.
    void add(int number, std::string path);

    /// What one read gave; `behind`: how many bytes of records the queue had then.
    void read(std::span<const std::byte> records, std::size_t behind = 0);
    /// The queue is empty.
    void run_dry();

    /// The number is no longer watched, whatever the records say: its path is `gone`.
    void end(int number);

    bool is_adding() const noexcept { return adding_ > 0; }

    bool empty() const noexcept { return changes_.empty(); }
    /// REQUIRES: !empty().
    fs::Change take();
    void clear() noexcept { changes_.clear(); }

    const std::unordered_map<int, std::string>& paths() const noexcept { return paths_; }

    /// What has told something since this was asked and may no longer have to be watched: what was
    /// moved, and what nobody has added. Each once.
    std::vector<int> take_unwanted() noexcept { return std::exchange(unwanted_, {}); }

    /// Whether records were lost since this was asked.
    bool take_lost() noexcept { return std::exchange(lost_, false); }
    void set_lost() noexcept { lost_ = true; }

  private:
    bool take_records(std::span<const std::byte> records);
    void take_record(const inotify_event& record, const std::string& name);
    void unwanted(int number);
    void note_overflow(std::size_t behind) noexcept;
    void tell_overflow(bool found, std::size_t behind);

    std::deque<fs::Change> changes_;
    std::unordered_map<int, std::string> paths_;
    std::vector<int> unwanted_;
    std::vector<int> ended_early_;  // while adding_ > 0
    int adding_ = 0;
    bool lost_ = false;
    int overflows_ = 0;      // read, and to be told; one now, and one after it
    std::size_t stale_ = 0;  // bytes that come before
};

}  // namespace asyncio::file
