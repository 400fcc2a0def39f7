// SPDX-License-Identifier: MIT
//
// TimerQueue, the wheel and its heap, against a list: every timer fires once, not before its time
// and in the order of deadlines, first armed first; next_wakeup() is never late.
//
// covers: loop/timer_queue.hpp loop/timer_queue.cpp
#include <asyncio/loop/timer_queue.hpp>

#include <array>
#include <deque>
#include <vector>

#include "fuzz.hpp"

namespace {

using asyncio::Duration;
using asyncio::RunQueue;
using asyncio::TimePoint;
using asyncio::loop::Timer;

struct Alarm final : asyncio::Runnable {
    Alarm() : Runnable([](Runnable&, Turn) {}), timer(*this) {}
    Timer timer;
    TimePoint when{};
    std::uint64_t number = 0;  // 0: not armed
};

class Comparison {
  public:
    Comparison() : queue_(now_) {}
    ~Comparison() {
        queue_.clear([](asyncio::Runnable&) {});
        FUZZ_CHECK(queue_.empty());
        for (Alarm& alarm : alarms_) FUZZ_CHECK(!alarm.timer.armed());
    }

    void arm(Alarm& alarm, TimePoint when) {
        disarm(alarm);
        queue_.arm(alarm.timer, when);
        alarm.when = when;
        alarm.number = ++numbers_;
    }
    void disarm(Alarm& alarm) {
        queue_.cancel(alarm.timer);
        alarm.number = 0;
    }
    Alarm& alarm(std::size_t index) { return alarms_[index]; }
    TimePoint now() const { return now_; }
    std::optional<TimePoint> next() const { return queue_.next_wakeup(); }

    void pass(Duration time) {
        if (time > TimePoint::max() - now_) return;
        now_ += time;
        RunQueue ready;
        queue_.expire(now_, ready);
        while (Alarm* expected = first_due()) {
            FUZZ_CHECK(!ready.empty());
            FUZZ_CHECK(&ready.pop() == expected);
            FUZZ_CHECK(!expected->timer.armed());
            expected->number = 0;
        }
        FUZZ_CHECK(ready.empty());
    }

    void check() {
        std::size_t armed = 0;
        const Alarm* first = nullptr;
        for (const Alarm& alarm : alarms_) {
            FUZZ_CHECK(alarm.timer.armed() == (alarm.number != 0));
            if (alarm.number == 0) continue;
            ++armed;
            if (first == nullptr || alarm.when < first->when) first = &alarm;
        }
        FUZZ_CHECK(queue_.size() == armed);
        const auto wakeup = queue_.next_wakeup();
        FUZZ_CHECK(wakeup.has_value() == (first != nullptr));
        if (first != nullptr) FUZZ_CHECK(*wakeup <= first->when);
    }

  private:
    Alarm* first_due() {
        Alarm* first = nullptr;
        for (Alarm& alarm : alarms_) {
            if (alarm.number == 0 || alarm.when > now_) continue;
            const bool earlier = first == nullptr || alarm.when < first->when ||
                                 (alarm.when == first->when && alarm.number < first->number);
            if (earlier) first = &alarm;
        }
        return first;
    }

    TimePoint now_{std::chrono::hours(1)};
    asyncio::loop::TimerQueue queue_;
    std::array<Alarm, 64> alarms_;
    std::uint64_t numbers_ = 0;
};

/// From nanoseconds to centuries.
Duration some_time(asyncio::fuzz::Input& input) {
    const std::size_t bits = input.below(64);
    const std::uint64_t value = input.number(3) << 40 >> (63 - std::min<std::size_t>(bits, 62));
    return Duration(static_cast<Duration::rep>(value & INT64_MAX));
}

void step(asyncio::fuzz::Input& input, Comparison& both) {
    Alarm& alarm = both.alarm(input.below(64));
    switch (input.below(7)) {
        case 0:
        case 1: {
            const Duration later = some_time(input);
            if (later <= TimePoint::max() - both.now()) both.arm(alarm, both.now() + later);
            break;
        }
        case 2:
            both.arm(alarm, both.now() - std::min(some_time(input), both.now().time_since_epoch()));
            break;
        case 3: {
            const Alarm& other = both.alarm(input.below(64));
            both.arm(alarm, other.when + Duration(input.below(3)) * (other.number == 0 ? 0 : 1));
            break;
        }
        case 4:
            both.disarm(alarm);
            break;
        case 5:
            both.pass(some_time(input));
            break;
        default:
            if (const auto next = both.next())
                both.pass(std::max(*next - both.now(), Duration::zero()));
    }
}

}  // namespace

FUZZ_TARGET(timers) {
    Comparison both;
    while (!input.empty()) {
        step(input, both);
        both.check();
    }
}
