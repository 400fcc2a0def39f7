// SPDX-License-Identifier: MIT
#include <asyncio/base/ref.hpp>

#include <atomic>

namespace asyncio {

void AtomicRefCounted::add_ref() const noexcept {
    std::atomic_ref(references_).fetch_add(1, std::memory_order_relaxed);
}

bool AtomicRefCounted::drop_ref() const noexcept {
    const std::uint32_t before =
        std::atomic_ref(references_).fetch_sub(1, std::memory_order_acq_rel);
    assert(before > 0);
    return before == 1;
}

}  // namespace asyncio
