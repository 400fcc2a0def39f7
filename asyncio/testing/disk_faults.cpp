// SPDX-License-Identifier: MIT
#include <asyncio/testing/disk_faults.hpp>

namespace asyncio::testing {

DiskFaults DiskFaults::rough(Random& random) noexcept {
    DiskFaults faults;
    const auto some = [&](double most) {
        return random.chance(0.5) ? most * static_cast<double>(random.below(1000)) / 1000 : 0;
    };
    faults.most_latency =
        random.between(std::chrono::microseconds(10), std::chrono::milliseconds(20));
    faults.short_read = some(0.5);
    faults.short_write = some(0.5);
    faults.stall = some(0.02);
    return faults;
}

}  // namespace asyncio::testing
