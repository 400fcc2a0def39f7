// SPDX-License-Identifier: MIT
//
// TimerQueue: all deadlines of one loop.
//
// Goal: arming and cancelling take tens of nanoseconds with a million timers outstanding, and
// timers still fire exactly in the order of their deadlines, first armed first among equals.
//
// Two parts:
//   * a hierarchical wheel of 6 levels x 64 slots over ticks of 2^20 ns (about 1 ms), for deadlines
//     beyond the current tick: unordered lists, O(1) to enter and leave, one occupancy bit a slot.
//     A timer stands on the level of the highest 6-bit digit in which its tick differs from
//     `elapsed_`. Far deadlines (over 2^36 ticks, two years) share a list that is looked through
//     when the wheel has turned once.
//   * a pairing heap ordered by (deadline, sequence number), for the current tick and the past.
//     When a slot of level 0 is reached, its timers are sorted and enter the heap as one chain, of
//     which the first can be taken without a comparison.
// So ordering costs O(log n) only within one millisecond. A cancelled timer leaves at once and
// never causes a wake-up (asyncio keeps it in its heap; M6 allows any bounded garbage, ours is
// none). A binary heap with back-index was measured as the peers' choice: 7 us per sleep at 100k.
//
// Invariants: a wheel timer's tick is > elapsed_; elapsed_ <= tick(now) at the last expire().
// Threads: the loop's.
#pragma once

#include <asyncio/base/runnable.hpp>
#include <asyncio/base/time.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <optional>

namespace asyncio::loop {

class TimerQueue;

/// One deadline; lives in the awaiting frame or in a callback's node. When it expires, `target`
/// enters the ready queue. Must not die while armed.
class Timer {
  public:
    Timer() noexcept = default;
    explicit Timer(Runnable& target) noexcept : target_(&target) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { assert(!armed()); }

    TimePoint when() const noexcept { return when_; }
    bool armed() const noexcept { return place_ != Place::none; }
    Runnable& target() const noexcept { return *target_; }
    void set_target(Runnable& target) noexcept { target_ = &target; }

  private:
    friend class TimerQueue;
    enum class Place : std::uint8_t { none, wheel, heap };

    // What is not initialised here is set when the timer is armed; a sleep of no time never is.
    TimePoint when_;
    Timer* next_;   // wheel: ring; heap: right sibling
    Timer* prev_;   // wheel: ring; heap: left sibling, or parent of a first child
    Timer* child_;  // heap: first child; wheel heads use nothing
    Runnable* target_;
    std::uint32_t sequence_;
    Place place_ = Place::none;
    std::uint8_t slot_level_;
    std::uint8_t slot_index_;
};

class TimerQueue {
  public:
    explicit TimerQueue(TimePoint now) noexcept;
    TimerQueue(const TimerQueue&) = delete;
    TimerQueue& operator=(const TimerQueue&) = delete;

    bool empty() const noexcept { return size_ == 0; }
    std::size_t size() const noexcept { return size_; }

    /// Arm `timer` for `when`. REQUIRES: not armed.
    void arm(Timer& timer, TimePoint when) noexcept;

    /// Disarm; a no-op if not armed.
    void cancel(Timer& timer) noexcept;

    /// Move the targets of all timers with deadline <= now into `ready`, in order.
    void expire(TimePoint now, RunQueue& ready) noexcept;

    /// When to look again: the earliest deadline, or, if that stands far off in a crowded slot, a
    /// moment not after it. nullopt when empty.
    std::optional<TimePoint> next_wakeup() const noexcept;

    /// Disarm everything, in no particular order, telling `dropped` each target.
    void clear(void (*dropped)(Runnable&)) noexcept;

  private:
    static constexpr int kTickBits = 20;
    static constexpr int kLevelBits = 6;
    static constexpr int kLevels = 6;
    static constexpr std::size_t kSlots = 1u << kLevelBits;
    static constexpr std::uint8_t kOverflow = kLevels;  // level number of the far list
    static constexpr int kScanLimit = 8;  // timers looked at to find a slot's exact minimum

    using Tick = std::uint64_t;

    static Tick tick_of(TimePoint when) noexcept {
        const auto ns = when.time_since_epoch().count();
        return ns <= 0 ? 0 : static_cast<Tick>(ns) >> kTickBits;
    }
    Timer*& list_of(std::uint8_t level, std::uint8_t index) noexcept {
        return level == kOverflow ? far_ : slots_[level][index];
    }

    void place(Timer& timer) noexcept;
    void enter_slot(Timer& timer, std::uint8_t level, std::uint8_t index) noexcept;
    void leave_slot(Timer& timer) noexcept;
    Timer* take_slot(std::uint8_t level, std::uint8_t index) noexcept;
    void replace_all(Timer* ring) noexcept;
    void turn_wheel(Tick now) noexcept;
    bool first_slot(int& level, unsigned& index, Tick& start) const noexcept;

    static bool before(const Timer& a, const Timer& b) noexcept;
    static Timer* merge(Timer* a, Timer* b) noexcept;
    static Timer* merge_children(Timer* first) noexcept;
    static Timer* merge_sorted(Timer* a, Timer* b) noexcept;
    static Timer* sort(Timer* list) noexcept;
    void heap_insert_all(Timer* ring) noexcept;
    void heap_insert(Timer& timer) noexcept;
    void heap_remove(Timer& timer) noexcept;

    std::array<std::array<Timer*, kSlots>, kLevels> slots_{};
    std::array<std::uint64_t, kLevels> occupied_{};
    Timer* far_ = nullptr;
    Timer* heap_ = nullptr;
    Tick elapsed_;
    std::size_t size_ = 0;
    std::uint32_t sequence_ = 0;
};

}  // namespace asyncio::loop
