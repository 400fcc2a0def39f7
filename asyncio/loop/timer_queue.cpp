// SPDX-License-Identifier: MIT
#include <asyncio/loop/timer_queue.hpp>

#include <algorithm>
#include <utility>

namespace asyncio::loop {

TimerQueue::TimerQueue(TimePoint now) noexcept : elapsed_(tick_of(now)) {}

void TimerQueue::arm(Timer& timer, TimePoint when) noexcept {
    assert(!timer.armed());
    timer.when_ = when;
    timer.sequence_ = sequence_++;
    ++size_;
    place(timer);
}

void TimerQueue::cancel(Timer& timer) noexcept {
    if (!timer.armed()) return;
    if (timer.place_ == Timer::Place::wheel)
        leave_slot(timer);
    else
        heap_remove(timer);
    timer.place_ = Timer::Place::none;
    --size_;
}

void TimerQueue::expire(TimePoint now, RunQueue& ready) noexcept {
    turn_wheel(tick_of(now));
    while (heap_ != nullptr && heap_->when_ <= now) {
        Timer& timer = *heap_;
        heap_ = merge_children(timer.child_);
        timer.child_ = timer.next_ = timer.prev_ = nullptr;
        timer.place_ = Timer::Place::none;
        --size_;
        ready.push(*timer.target_);
    }
}

std::optional<TimePoint> TimerQueue::next_wakeup() const noexcept {
    if (heap_ != nullptr) return heap_->when_;
    int level = 0;
    unsigned index = 0;
    Tick start = 0;
    const Timer* head = far_;
    if (first_slot(level, index, start))
        head = slots_[static_cast<std::size_t>(level)][index];
    else if (head != nullptr)
        start = ((elapsed_ >> (kLevels * kLevelBits)) + 1) << (kLevels * kLevelBits);
    else
        return std::nullopt;
    // A short list is worth looking through: the exact deadline saves a wake-up.
    TimePoint earliest = head->when_;
    int seen = 0;
    for (const Timer* t = head->next_; t != head; t = t->next_) {
        if (++seen == kScanLimit)
            return TimePoint(Duration(static_cast<std::int64_t>(start << kTickBits)));
        earliest = std::min(earliest, t->when_);
    }
    return earliest;
}

void TimerQueue::clear(void (*dropped)(Runnable&)) noexcept {
    // What is dropped may cancel others: each step looks at the head again.
    const auto drop_all = [&](Timer*& head) {
        while (head != nullptr) {
            Timer& timer = *head;
            cancel(timer);
            dropped(*timer.target_);
        }
    };
    drop_all(heap_);
    for (auto& level : slots_)
        for (Timer*& slot : level) drop_all(slot);
    drop_all(far_);
}

// --- the wheel ---------------------------------------------------------------------------------

void TimerQueue::place(Timer& timer) noexcept {
    const Tick tick = tick_of(timer.when_);
    if (tick <= elapsed_) {
        heap_insert(timer);
        return;
    }
    const int level = (std::bit_width(tick ^ elapsed_) - 1) / kLevelBits;
    if (level >= kLevels) {
        enter_slot(timer, kOverflow, 0);
        return;
    }
    const auto index = (tick >> (level * kLevelBits)) & (kSlots - 1);
    enter_slot(timer, static_cast<std::uint8_t>(level), static_cast<std::uint8_t>(index));
}

void TimerQueue::enter_slot(Timer& timer, std::uint8_t level, std::uint8_t index) noexcept {
    timer.place_ = Timer::Place::wheel;
    timer.slot_level_ = level;
    timer.slot_index_ = index;
    Timer*& head = list_of(level, index);
    if (head == nullptr) {
        timer.next_ = timer.prev_ = &timer;
        head = &timer;
        if (level != kOverflow) occupied_[level] |= std::uint64_t{1} << index;
        return;
    }
    timer.next_ = head;
    timer.prev_ = head->prev_;
    head->prev_->next_ = &timer;
    head->prev_ = &timer;
}

void TimerQueue::leave_slot(Timer& timer) noexcept {
    Timer*& head = list_of(timer.slot_level_, timer.slot_index_);
    if (timer.next_ == &timer) {
        head = nullptr;
        if (timer.slot_level_ != kOverflow)
            occupied_[timer.slot_level_] &= ~(std::uint64_t{1} << timer.slot_index_);
    } else {
        timer.prev_->next_ = timer.next_;
        timer.next_->prev_ = timer.prev_;
        if (head == &timer) head = timer.next_;
    }
    timer.next_ = timer.prev_ = nullptr;
}

Timer* TimerQueue::take_slot(std::uint8_t level, std::uint8_t index) noexcept {
    Timer*& head = list_of(level, index);
    if (level != kOverflow) occupied_[level] &= ~(std::uint64_t{1} << index);
    return std::exchange(head, nullptr);
}

/// Find each timer of a ring its new place, seen from the present `elapsed_`.
void TimerQueue::replace_all(Timer* ring) noexcept {
    if (ring == nullptr) return;
    ring->prev_->next_ = nullptr;
    while (ring != nullptr) {
        Timer& timer = *ring;
        ring = ring->next_;
        timer.next_ = timer.prev_ = nullptr;
        place(timer);
    }
}

/// The slot that comes first in time. Lower levels always come before higher ones, because a
/// timer stands on the level of the highest digit in which it differs from `elapsed_`.
bool TimerQueue::first_slot(int& level, unsigned& index, Tick& start) const noexcept {
    for (level = 0; level < kLevels; ++level) {
        const std::uint64_t bits = occupied_[static_cast<std::size_t>(level)];
        if (bits == 0) continue;
        index = static_cast<unsigned>(std::countr_zero(bits));
        const int shift = level * kLevelBits;
        const Tick above = elapsed_ >> (shift + kLevelBits) << (shift + kLevelBits);
        start = above | (static_cast<Tick>(index) << shift);
        return true;
    }
    return false;
}

void TimerQueue::turn_wheel(Tick now) noexcept {
    constexpr int kTurnBits = kLevels * kLevelBits;
    int level = 0;
    unsigned index = 0;
    Tick start = 0;
    for (;;) {
        if (first_slot(level, index, start)) {
            if (start > now) break;
        } else if (far_ != nullptr && (now >> kTurnBits) > (elapsed_ >> kTurnBits)) {
            level = kOverflow;
            index = 0;
            start = now >> kTurnBits << kTurnBits;
        } else {
            break;
        }
        elapsed_ = start;
        Timer* ring = take_slot(static_cast<std::uint8_t>(level), static_cast<std::uint8_t>(index));
        if (level == 0)
            heap_insert_all(ring);
        else
            replace_all(ring);
    }
    elapsed_ = std::max(elapsed_, now);
}

// --- the heap ----------------------------------------------------------------------------------

bool TimerQueue::before(const Timer& a, const Timer& b) noexcept {
    if (a.when_ != b.when_) return a.when_ < b.when_;
    return static_cast<std::int32_t>(a.sequence_ - b.sequence_) < 0;
}

Timer* TimerQueue::merge(Timer* a, Timer* b) noexcept {
    if (a == nullptr) return b;
    if (b == nullptr) return a;
    if (before(*b, *a)) std::swap(a, b);
    b->prev_ = a;
    b->next_ = a->child_;
    if (a->child_ != nullptr) a->child_->prev_ = b;
    a->child_ = b;
    return a;
}

/// Two passes: merge neighbours from left to right, then all from right to left.
Timer* TimerQueue::merge_children(Timer* first) noexcept {
    Timer* pairs = nullptr;  // linked through next_, last pair first
    while (first != nullptr) {
        Timer* a = first;
        Timer* b = a->next_;
        first = b != nullptr ? b->next_ : nullptr;
        a->next_ = a->prev_ = nullptr;
        if (b != nullptr) b->next_ = b->prev_ = nullptr;
        Timer* pair = merge(a, b);
        pair->next_ = pairs;
        pairs = pair;
    }
    Timer* root = nullptr;
    while (pairs != nullptr) {
        Timer* pair = std::exchange(pairs, pairs->next_);
        pair->next_ = nullptr;
        root = merge(root, pair);
    }
    if (root != nullptr) root->prev_ = root->next_ = nullptr;
    return root;
}

void TimerQueue::heap_insert(Timer& timer) noexcept {
    timer.place_ = Timer::Place::heap;
    timer.next_ = timer.prev_ = timer.child_ = nullptr;
    heap_ = merge(heap_, &timer);
}

/// Two lists, linked through next_.
Timer* TimerQueue::merge_sorted(Timer* a, Timer* b) noexcept {
    Timer* merged = nullptr;
    Timer** end = &merged;
    while (a != nullptr && b != nullptr) {
        Timer*& first = before(*b, *a) ? b : a;
        *end = first;
        end = &first->next_;
        first = first->next_;
    }
    *end = a != nullptr ? a : b;
    return merged;
}

Timer* TimerQueue::sort(Timer* list) noexcept {
    std::array<Timer*, 32> runs{};  // runs[i]: 2^i timers in order, or none
    while (list != nullptr) {
        Timer* run = std::exchange(list, list->next_);
        run->next_ = nullptr;
        std::size_t i = 0;
        for (; runs[i] != nullptr && i + 1 < runs.size(); ++i)
            run = merge_sorted(std::exchange(runs[i], nullptr), run);
        runs[i] = merge_sorted(runs[i], run);
    }
    Timer* sorted = nullptr;
    for (Timer* run : runs) sorted = merge_sorted(run, sorted);
    return sorted;
}

/// A slot that is due: each timer becomes the only child of the one before it.
void TimerQueue::heap_insert_all(Timer* ring) noexcept {
    if (ring == nullptr) return;
    ring->prev_->next_ = nullptr;
    Timer* const first = sort(ring);
    for (Timer *timer = first, *parent = nullptr; timer != nullptr;) {
        timer->place_ = Timer::Place::heap;
        timer->prev_ = std::exchange(parent, timer);
        timer->child_ = std::exchange(timer->next_, nullptr);
        timer = timer->child_;
    }
    heap_ = merge(heap_, first);
}

void TimerQueue::heap_remove(Timer& timer) noexcept {
    Timer* children = merge_children(timer.child_);
    timer.child_ = nullptr;
    if (heap_ == &timer) {
        heap_ = children;
    } else {
        if (timer.prev_->child_ == &timer)
            timer.prev_->child_ = timer.next_;
        else
            timer.prev_->next_ = timer.next_;
        if (timer.next_ != nullptr) timer.next_->prev_ = timer.prev_;
        heap_ = merge(heap_, children);
    }
    timer.next_ = timer.prev_ = nullptr;
}

}  // namespace asyncio::loop
