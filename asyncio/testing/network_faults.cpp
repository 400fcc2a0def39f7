// SPDX-License-Identifier: MIT
#include <asyncio/testing/network_faults.hpp>

namespace asyncio::testing {

NetworkFaults NetworkFaults::rough(Random& random) noexcept {
    NetworkFaults faults;
    const auto some = [&](double most) {
        return random.chance(0.5) ? most * static_cast<double>(random.below(1000)) / 1000 : 0;
    };
    faults.most_latency =
        random.between(std::chrono::microseconds(50), std::chrono::milliseconds(50));
    faults.loss = some(0.1);
    faults.duplication = some(0.1);
    faults.reset = some(0.02);
    faults.short_send = some(0.5);
    faults.short_receive = some(0.5);
    faults.late_completion = some(0.5);
    faults.late_cancel = some(1);
    faults.queued_send = some(1);
    faults.accept_error = some(0.1);
    faults.partition = some(0.5);
    faults.pause = some(0.3);
    if (random.chance(0.5)) faults.window = 1 + random.below(4096);
    return faults;
}

}  // namespace asyncio::testing
