// SPDX-License-Identifier: MIT
#include <asyncio/testing/agenda.hpp>

#include <algorithm>

namespace asyncio::testing {

void Agenda::at(TimePoint when, UniqueFunction<void()> happen) {
    heap_.push_back({std::max(when, now_), entered_++, std::move(happen)});
    std::ranges::push_heap(heap_, &Agenda::later);
}

std::optional<TimePoint> Agenda::next() const noexcept {
    if (heap_.empty()) return std::nullopt;
    return heap_.front().when;
}

void Agenda::advance_to(TimePoint when) {
    while (!heap_.empty() && heap_.front().when <= when) {
        std::ranges::pop_heap(heap_, &Agenda::later);
        Entry entry = std::move(heap_.back());
        heap_.pop_back();
        now_ = std::max(now_, entry.when);
        entry.happen();
    }
    now_ = std::max(now_, when);
}

}  // namespace asyncio::testing
