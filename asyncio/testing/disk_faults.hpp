// SPDX-License-Identifier: MIT
//
// DiskFaults: what the disk of a simulated host does to those who use it. The default is a good
// disk; rough() draws a slow one that takes and gives less than it was asked for. What hardly any
// program survives (EIO, ENOSPC, EROFS) comes only where a world asks for it:
//
//     host.disk().faults.sync_error = 0.01;
#pragma once

#include <asyncio/testing/random.hpp>

namespace asyncio::testing {

struct DiskFaults {
    // How long a call takes.
    Duration least_latency = std::chrono::microseconds(10);
    Duration most_latency = std::chrono::microseconds(200);

    // Probabilities, per call.
    double short_read = 0;   // a read gives only a part of what it could
    double short_write = 0;  // a write takes only a part
    double read_error = 0;   // EIO
    double write_error = 0;
    double sync_error = 0;  // EIO; some of what was to be saved is given up: see disk.hpp
    double name_error = 0;  // EIO, of open, rename, unlink, ...
    double stall = 0;       // a call takes much longer
    Duration longest_stall = std::chrono::seconds(3);

    /// Bytes of all files together; then ENOSPC.
    std::uint64_t capacity = std::uint64_t{1} << 30;
    /// EROFS for whatever changes something.
    bool read_only = false;

    /// Of inotify: a change is told as IN_Q_OVERFLOW, as if too many waited. Probability, of each.
    double watch_overflow = 0;
    /// As many as may wait; Linux's max_queued_events.
    std::size_t watch_queue = 16'384;

    static DiskFaults rough(Random& random) noexcept;
};

}  // namespace asyncio::testing
