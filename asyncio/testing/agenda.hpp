// SPDX-License-Identifier: MIT
//
// Agenda: the clock of a simulated world, and what is going to happen in it: packets that arrive,
// disks that answer. Equal times happen in the order in which they were entered.
//
// Threads: of the simulation.
#pragma once

#include <asyncio/base/time.hpp>
#include <asyncio/base/unique_function.hpp>

#include <cstdint>
#include <optional>
#include <vector>

namespace asyncio::testing {

class Agenda {
  public:
    /// Where time begins; away from zero, so that deadlines in the past exist.
    static constexpr TimePoint kStart{std::chrono::hours(1000)};

    TimePoint now() const noexcept { return now_; }
    void at(TimePoint when, UniqueFunction<void()> happen);
    void after(Duration delay, UniqueFunction<void()> happen) {
        at(now_ + delay, std::move(happen));
    }

    /// When the next entry happens; nullopt: nothing will.
    std::optional<TimePoint> next() const noexcept;
    /// Let time pass, up to `when`: what is entered for until then happens, in order.
    void advance_to(TimePoint when);

  private:
    struct Entry {
        TimePoint when;
        std::uint64_t number;
        UniqueFunction<void()> happen;
    };
    static bool later(const Entry& a, const Entry& b) noexcept {
        return a.when != b.when ? a.when > b.when : a.number > b.number;
    }

    TimePoint now_ = kStart;
    std::uint64_t entered_ = 0;
    std::vector<Entry> heap_;
};

}  // namespace asyncio::testing
