// SPDX-License-Identifier: MIT
#include <asyncio/loop/timer_queue.hpp>

#include <algorithm>
#include <deque>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio::loop {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kNow{1000h};
constexpr Duration kTick{1 << 20};

/// A timer that knows its number.
struct Alarm : Runnable {
    Alarm() : Runnable([](Runnable&, Turn) {}), timer(*this) {}
    Timer timer;
    int number = 0;
};

using Numbers = std::vector<int>;

struct Alarms {
    explicit Alarms(TimePoint now = kNow) : queue(now) {}
    ~Alarms() {
        queue.clear([](Runnable&) {});
    }
    Alarm& arm(TimePoint when) {
        Alarm& alarm = all.emplace_back();
        alarm.number = static_cast<int>(all.size()) - 1;
        queue.arm(alarm.timer, when);
        return alarm;
    }
    Numbers expire(TimePoint now) {
        RunQueue ready;
        queue.expire(now, ready);
        Numbers numbers;
        while (!ready.empty()) numbers.push_back(static_cast<Alarm&>(ready.pop()).number);
        return numbers;
    }
    TimerQueue queue;
    std::deque<Alarm> all;
};

TEST(TimerQueue, is_empty_at_first) {
    Alarms alarms;
    EXPECT_TRUE(alarms.queue.empty());
    EXPECT_EQ(alarms.queue.next_wakeup(), std::nullopt);
    EXPECT_EQ(alarms.expire(kNow + 1h), Numbers{});
    EXPECT_EQ(alarms.queue.next_wakeup(), std::nullopt);
}

TEST(TimerQueue, fires_in_order_of_deadlines_and_never_early) {
    Alarms alarms;
    alarms.arm(kNow + 30ms);
    alarms.arm(kNow + 10ms);
    alarms.arm(kNow + 20ms);
    EXPECT_EQ(alarms.queue.next_wakeup(), kNow + 10ms);
    EXPECT_EQ(alarms.expire(kNow + 10ms - 1ns), Numbers{});
    EXPECT_EQ(alarms.expire(kNow + 10ms), Numbers{1});
    EXPECT_EQ(alarms.expire(kNow + 1h), (Numbers{2, 0}));
    EXPECT_TRUE(alarms.queue.empty());
}

TEST(TimerQueue, equal_deadlines_fire_in_the_order_of_arming_wherever_they_stood) {
    Alarms alarms;
    const TimePoint when = kNow + 3h;
    for (int i = 0; i < 50; ++i) alarms.arm(when);  // high in the wheel
    EXPECT_EQ(alarms.expire(when - 2 * kTick), Numbers{});
    for (int i = 0; i < 50; ++i) alarms.arm(when);  // on its lowest level
    EXPECT_EQ(alarms.expire(when - 1ns), Numbers{});
    for (int i = 0; i < 50; ++i) alarms.arm(when);  // in the heap
    const Numbers fired = alarms.expire(when);
    ASSERT_EQ(fired.size(), 150U);
    EXPECT_TRUE(std::ranges::is_sorted(fired));
}

TEST(TimerQueue, deadlines_in_the_past_and_at_the_ends_of_time) {
    Alarms alarms;
    alarms.arm(TimePoint::max());
    alarms.arm(TimePoint::min());
    alarms.arm(kNow);
    alarms.arm(TimePoint{});
    alarms.arm(kNow - 1s);
    EXPECT_EQ(alarms.queue.next_wakeup(), TimePoint::min());
    EXPECT_EQ(alarms.expire(kNow), (Numbers{1, 3, 4, 2}));
    ASSERT_TRUE(alarms.queue.next_wakeup());
    EXPECT_GT(*alarms.queue.next_wakeup(), kNow);
    EXPECT_EQ(alarms.expire(TimePoint::max() - 1ns), Numbers{});
    EXPECT_EQ(alarms.expire(TimePoint::max()), Numbers{0});
}

TEST(TimerQueue, LOOP_11_years_away_is_far_but_comes) {
    Alarms alarms;
    std::vector<TimePoint> deadlines;
    for (int years : {1, 2, 3, 4, 5, 50, 100, 200}) {
        deadlines.push_back(kNow + 24h * 365 * years);
        alarms.arm(deadlines.back());
    }
    for (int i = 0; i < static_cast<int>(deadlines.size()); ++i) {
        const TimePoint when = deadlines[static_cast<std::size_t>(i)];
        EXPECT_EQ(alarms.expire(when - 1ns), Numbers{}) << i;
        EXPECT_EQ(alarms.expire(when), Numbers{i});
    }
}

TEST(TimerQueue, boundaries_of_every_wheel_level) {
    for (int level = 0; level < 6; ++level) {
        const Duration span = kTick * (std::int64_t{1} << (6 * level));
        for (const TimePoint now : {kNow, TimePoint{span - kTick}, TimePoint{span * 63},
                                    TimePoint{span * 64 - Duration(1)}}) {
            Alarms alarms(now);
            std::vector<TimePoint> deadlines;
            for (const Duration offset :
                 {span - kTick / 2, span - Duration(1), span, span + Duration(1), span * 63,
                  span * 64 - Duration(1), span * 64, span * 64 + kTick / 3, span * 65})
                deadlines.push_back(now + offset);
            for (const TimePoint when : deadlines) alarms.arm(when);
            std::ranges::sort(deadlines);
            for (const TimePoint when : deadlines) {
                EXPECT_EQ(alarms.expire(when - 1ns).size(), 0U) << level;
                const auto wakeup = alarms.queue.next_wakeup();
                ASSERT_TRUE(wakeup);
                EXPECT_LE(*wakeup, when);
                EXPECT_EQ(alarms.expire(when).size(), 1U) << level;
            }
            EXPECT_TRUE(alarms.queue.empty());
        }
    }
}

TEST(TimerQueue, LOOP_13_LOOP_14_LOOP_15_cancelled_timers_leave_at_once) {
    Alarms alarms;
    for (int i = 0; i < 1000; ++i) alarms.arm(kNow + 1s * (1000 - i));
    for (int i = 0; i < 1000; ++i)
        if (i % 10 != 0) alarms.queue.cancel(alarms.all[static_cast<std::size_t>(i)].timer);
    EXPECT_EQ(alarms.queue.size(), 100U);               // no garbage, at the head or behind it
    EXPECT_GT(*alarms.queue.next_wakeup(), kNow + 9s);  // number 990 is due at 10 s
    alarms.queue.cancel(alarms.all[990].timer);
    alarms.queue.cancel(alarms.all[990].timer);  // again: harmless
    EXPECT_EQ(alarms.expire(kNow + 19s), Numbers{});
    EXPECT_EQ(alarms.expire(kNow + 20s), Numbers{980});
}

TEST(TimerQueue, a_timer_can_be_armed_again_after_firing_and_after_cancelling) {
    Alarms alarms;
    Alarm& alarm = alarms.arm(kNow + 1s);
    EXPECT_EQ(alarms.expire(kNow + 1s), Numbers{0});
    EXPECT_FALSE(alarm.timer.armed());
    alarms.queue.arm(alarm.timer, kNow + 2s);
    alarms.queue.cancel(alarm.timer);
    alarms.queue.arm(alarm.timer, kNow + 3s);
    EXPECT_EQ(alarm.timer.when(), kNow + 3s);
    EXPECT_EQ(alarms.expire(kNow + 3s), Numbers{0});
}

TEST(TimerQueue, a_crowded_slot_may_wake_early_but_makes_progress) {
    Alarms alarms;
    for (int i = 0; i < 1000; ++i) alarms.arm(kNow + 10h + 1ms * (999 - i));
    TimePoint now = kNow;
    int wakeups = 0;
    while (alarms.expire(now).empty()) {
        const auto wakeup = alarms.queue.next_wakeup();
        ASSERT_TRUE(wakeup);
        ASSERT_GT(*wakeup, now);
        ASSERT_LE(*wakeup, kNow + 10h);
        now = *wakeup;
        ASSERT_LT(++wakeups, 10);
    }
    EXPECT_EQ(now, kNow + 10h);
}

/// Cancels its neighbours when it is dropped.
struct Link : Runnable {
    explicit Link(TimerQueue& q) : Runnable(&dropped), queue(q), timer(*this) {}
    static void dropped(Runnable& self, Turn) {
        auto& link = static_cast<Link&>(self);
        for (Link* other : {link.before, link.after})
            if (other != nullptr) link.queue.cancel(other->timer);
    }
    TimerQueue& queue;
    Timer timer;
    Link* before = nullptr;
    Link* after = nullptr;
};

TEST(TimerQueue, dropping_one_may_cancel_its_neighbours) {
    for (const Duration offset : {Duration(0), Duration(1s), Duration(24h * 3650)}) {
        TimerQueue queue(kNow);
        std::deque<Link> links;
        for (std::size_t i = 0; i < 10; ++i) {
            Link& link = links.emplace_back(queue);
            if (i > 0) {
                link.before = &links[i - 1];
                link.before->after = &link;
            }
            queue.arm(link.timer, kNow + offset);
        }
        queue.clear([](Runnable& target) { target.discard(); });
        EXPECT_TRUE(queue.empty());
        for (const Link& link : links) EXPECT_FALSE(link.timer.armed());
    }
}

TEST(TimerQueue, deadline_after_saturates) {
    EXPECT_EQ(deadline_after(kNow, 1s), kNow + 1s);
    EXPECT_EQ(deadline_after(kNow, -1s), kNow - 1s);
    EXPECT_EQ(deadline_after(kNow, Duration::max()), TimePoint::max());
    EXPECT_EQ(deadline_after(TimePoint(-1s), Duration::min()), TimePoint::min());
}

// --- against a model ---------------------------------------------------------------------------

/// The queue and a sorted set of (deadline, number in order of arming), doing the same.
class Model {
  public:
    explicit Model(unsigned seed) : random_(seed), alarms_(kNow) {}

    void step() {
        switch (random_() % 8) {
            case 0:
            case 1:
            case 2:
            case 3:
                arm();
                break;
            case 4:
            case 5:
                cancel();
                break;
            case 6:
                advance(pick({0, 1000, 1'000'000, 50'000'000}));
                break;
            default:
                follow_wakeup();
        }
        ASSERT_EQ(alarms_.queue.size(), armed_.size());
    }
    void arm() {
        const Duration early = random_() % 16 == 0 ? Duration(1s) : Duration(0);
        TimePoint when =
            now_ - early +
            pick({0, 100, 1'000'000, 100'000'000, 10'000'000'000, std::int64_t{1} << 40,
                  std::int64_t{1} << 50, std::int64_t{1} << 57, std::int64_t{1} << 61});
        if (!armed_.empty() && random_() % 4 == 0) when = armed_.begin()->first;  // an equal one
        armed_.emplace(when, alarms_.arm(when).number);
    }

  private:
    Duration pick(const std::vector<std::int64_t>& spans) {
        const std::int64_t span = spans[random_() % spans.size()];
        return Duration(span == 0 ? 0 : static_cast<std::int64_t>(random_() >> 2) % span);
    }
    void cancel() {
        if (alarms_.all.empty()) return;
        Alarm& alarm = alarms_.all[random_() % alarms_.all.size()];
        armed_.erase({alarm.timer.when(), alarm.number});
        alarms_.queue.cancel(alarm.timer);
        EXPECT_FALSE(alarm.timer.armed());
    }
    void advance(Duration by) {
        now_ += by;
        Numbers expected;
        while (!armed_.empty() && armed_.begin()->first <= now_) {
            expected.push_back(armed_.begin()->second);
            armed_.erase(armed_.begin());
        }
        ASSERT_EQ(alarms_.expire(now_), expected);
    }
    void follow_wakeup() {
        const auto wakeup = alarms_.queue.next_wakeup();
        ASSERT_EQ(wakeup.has_value(), !armed_.empty());
        if (!wakeup) return;
        ASSERT_LE(*wakeup, armed_.begin()->first);
        if (*wakeup <= now_) {
            ASSERT_LE(armed_.begin()->first, now_);  // not early again and again
        }
        constexpr TimePoint kTooFar{Duration(std::int64_t{1} << 61)};
        if (*wakeup > kTooFar || (*wakeup - now_ > 24h * 365 && random_() % 64 != 0)) return;
        advance(std::max(*wakeup - now_, Duration(0)));
    }

    std::mt19937_64 random_;
    TimePoint now_ = kNow;
    Alarms alarms_;
    std::set<std::pair<TimePoint, int>> armed_;
};

TEST(TimerQueue, does_what_a_sorted_set_does) {
    for (unsigned seed = 0; seed < 40; ++seed) {
        SCOPED_TRACE(seed);
        Model model(seed);
        for (int i = 0; i < 3000 && !HasFatalFailure(); ++i) model.step();
        if (HasFatalFailure()) return;
    }
}

TEST(TimerQueue, a_hundred_thousand_timers) {
    Model model(4711);
    for (int i = 0; i < 100'000; ++i) model.arm();
    for (int i = 0; i < 100'000 && !HasFatalFailure(); ++i) model.step();
    Alarms alarms;
    std::mt19937_64 random(1);
    std::vector<std::pair<TimePoint, int>> expected;
    for (int i = 0; i < 100'000; ++i) {
        const TimePoint when = kNow + Duration(random() % (std::uint64_t{1} << 36));
        alarms.arm(when);
        expected.emplace_back(when, i);
    }
    std::ranges::sort(expected);
    Numbers numbers;
    for (const auto& [when, number] : expected) numbers.push_back(number);
    EXPECT_EQ(alarms.expire(kNow + 24h), numbers);
}

}  // namespace
}  // namespace asyncio::loop
