// SPDX-License-Identifier: MIT
//
// Lock, Semaphore, Condition, Event and Barrier: a script of acquires, releases, notifications and
// cancellations in any state. Never more holders than permits, first come first served, nobody
// waits for what is free, a condition's wait ends holding its lock.
//
// covers: sync/lock.hpp sync/lock.cpp sync/semaphore.hpp sync/semaphore.cpp sync/condition.hpp
//     sync/condition.cpp sync/event.hpp sync/event.cpp sync/barrier.hpp sync/barrier.cpp
#include <asyncio/sync/barrier.hpp>
#include <asyncio/sync/condition.hpp>
#include <asyncio/sync/event.hpp>
#include <asyncio/sync/lock.hpp>
#include <asyncio/sync/semaphore.hpp>
#include <asyncio/task/future.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/with.hpp>

#include <optional>
#include <vector>

#include "abandoned.hpp"
#include "fuzz.hpp"

namespace asyncio::fuzz {
namespace {

using std::size_t;

constexpr int kPermits = 2;
constexpr int kParties = 3;

enum class Role : std::uint8_t { lock, semaphore, condition, event, barrier };
enum class Stage : std::uint8_t { begins, holds, waits, over };

struct Participant {
    Role role;
    Stage stage = Stage::begins;
    bool cancelled = false;
    Task<> task;
    Future<> go;  // what a holder waits for
};

auto turn() { return sleep(Duration::zero()); }

class Script {
  public:
    explicit Script(Input& input) : input_(input) { participants_.reserve(kMost); }

    Coro<> run() {
        while (!input_.empty() && participants_.size() < kMost) {
            step();
            for (size_t turns = input_.below(4); turns > 0; --turns) co_await turn();
            check();
        }
        co_await settle();
        check_at_rest();
        barrier_.abort();
        event_.set();
        for (int round = 0; round < 3; ++round) {
            for (Participant& one : participants_) cancel(one);
            co_await settle();
        }
        for (const Participant& one : participants_) FUZZ_CHECK(one.task.done());
        FUZZ_CHECK(!lock_.locked() && holders_ == 0 && permits_ == 0);
        FUZZ_CHECK(!semaphore_.locked());
    }

  private:
    static constexpr size_t kMost = 100;

    Coro<> settle() {
        for (int i = 0; i < 120; ++i) co_await turn();
    }

    void step() {
        switch (input_.below(8)) {
            case 0:
            case 1:
            case 2:
                start(static_cast<Role>(input_.below(5)));
                break;
            case 3:
                if (Participant* one = some()) cancel(*one);
                break;
            case 4:
            case 5:
                if (Participant* one = some())
                    if (!one->go.done()) one->go.set_result();
                break;
            case 6:
                notify();
                break;
            default:
                others();
        }
    }
    void start(Role role) {
        const size_t me = participants_.size();
        participants_.push_back(
            {.role = role, .task = {}, .go = get_running_loop().create_future<void>()});
        participants_[me].task = create_task(live(me));
    }
    Participant* some() {
        return participants_.empty() ? nullptr : &participants_[input_.below(participants_.size())];
    }
    void cancel(Participant& one) {
        if (one.task.done()) return;
        one.cancelled = true;
        if (one.role == Role::barrier) one_left_ = true;
        ++notified_;  // who leaves a condition cancelled may pass on a notification it never got
        one.task.cancel();
    }
    /// As somebody who holds the lock would; without it that is an error.
    void notify() {
        const size_t count = input_.below(3);
        try {
            condition_.notify(count);
            FUZZ_CHECK(lock_.locked());
            notified_ += count;
        } catch (const std::logic_error&) {
            FUZZ_CHECK(!lock_.locked());
        }
    }
    void others() {
        switch (input_.below(4)) {
            case 0:
                event_.set();
                break;
            case 1:
                event_.clear();
                break;
            case 2:
                barrier_.reset();
                disturbed_ = true;
                break;
            default:
                rarely();
        }
    }

    void rarely() {
        switch (input_.below(4)) {
            case 0:
                release_what_nobody_has();
                break;
            case 1:
                FUZZ_CHECK(says(lock_, lock_.locked() ? "Lock locked" : "Lock unlocked"));
                FUZZ_CHECK(says(condition_, lock_.locked() ? " locked" : " unlocked"));
                FUZZ_CHECK(says(semaphore_, semaphore_.locked() ? " locked" : " unlocked"));
                FUZZ_CHECK(says(event_, event_.is_set() ? " set" : " unset"));
                FUZZ_CHECK(says(barrier_, std::to_string(barrier_.n_waiting()) + "/3"));
                break;
            case 3:
                barrier_.abort();
                disturbed_ = true;
                break;
            default:
                break;
        }
    }
    template <class Primitive>
    static bool says(const Primitive& primitive, std::string_view what) {
        return primitive.description().find(what) != std::string::npos;
    }
    void release_what_nobody_has() {
        try {
            if (lock_.locked()) return;
            lock_.release();
            FUZZ_CHECK(false);
        } catch (const std::logic_error&) {
        }
    }

    // --- participants ------------------------------------------------------------------------

    struct Over {
        ~Over() { script.participants_[me].stage = Stage::over; }
        Script& script;
        size_t me;
    };
    struct Inside {
        explicit Inside(int& n, int most) : count(n) { FUZZ_CHECK(++count <= most); }
        ~Inside() { --count; }
        int& count;
    };

    Coro<> live(size_t me) {
        const Over over{*this, me};
        switch (participants_[me].role) {
            case Role::lock: {
                const auto body = [&]() -> Coro<> { co_await hold(me, holders_, 1); };
                if (me % 2 == 0) {
                    co_await with(lock_, body);
                    break;
                }
                const auto held = co_await lock_.scoped();
                co_await body();
                break;
            }
            case Role::semaphore: {
                const auto body = [&]() -> Coro<> { co_await hold(me, permits_, kPermits); };
                if (me % 2 == 0) {
                    co_await with(semaphore_, body);
                    break;
                }
                const auto held = co_await semaphore_.scoped();
                co_await body();
                break;
            }
            case Role::condition:
                co_await wait_for_notification(me);
                break;
            case Role::event:
                co_await event_.wait();
                break;
            default:
                co_await meet();
        }
    }
    Coro<> hold(size_t me, int& count, int most) {
        check_order(me);
        participants_[me].stage = Stage::holds;
        const Inside inside(count, most);
        co_await participants_[me].go;
    }
    Coro<> wait_for_notification(size_t me) {
        const auto held = co_await condition_.scoped();
        participants_[me].stage = Stage::waits;
        try {
            co_await condition_.wait();
        } catch (const CancelledError&) {
            FUZZ_CHECK(lock_.locked() && holders_ == 0);
            throw;
        }
        FUZZ_CHECK(lock_.locked() && holders_ == 0);
        ++woken_;
        FUZZ_CHECK(woken_ <= notified_);
        const Inside inside(holders_, 1);
    }
    Coro<> meet() {
        try {
            const int index = co_await barrier_.wait();
            FUZZ_CHECK(index >= 0 && index < kParties);
            ++met_;
        } catch (const BrokenBarrierError&) {
            FUZZ_CHECK(disturbed_);
        }
    }
    /// Nobody who wanted the same before still waits for it.
    void check_order(size_t me) {
        for (size_t i = 0; i < me; ++i) {
            const Participant& other = participants_[i];
            FUZZ_CHECK(other.role != participants_[me].role || other.cancelled ||
                       other.stage != Stage::begins);
        }
    }

    // --- what has to hold --------------------------------------------------------------------

    void check() const {
        FUZZ_CHECK(holders_ <= 1 && permits_ <= kPermits);
        if (holders_ == 1) FUZZ_CHECK(lock_.locked());
        FUZZ_CHECK(barrier_.n_waiting() >= 0 && barrier_.n_waiting() < kParties);
    }
    void check_at_rest() const {
        check();
        size_t meeting = 0;
        for (const Participant& one : participants_) {
            if (one.task.done()) continue;
            if (one.role == Role::barrier) ++meeting;
            if (one.role == Role::event) FUZZ_CHECK(!event_.is_set());
            if (one.stage != Stage::begins) continue;
            if (one.role == Role::lock || one.role == Role::condition) FUZZ_CHECK(holders_ == 1);
            if (one.role == Role::semaphore) FUZZ_CHECK(permits_ == kPermits);
        }
        FUZZ_CHECK(meeting < kParties);
        FUZZ_CHECK(static_cast<size_t>(barrier_.n_waiting()) == meeting);
        if (!disturbed_ && !one_left_) FUZZ_CHECK(met_ % kParties == 0);
        if (holders_ == 0) FUZZ_CHECK(!lock_.locked());
    }

    Input& input_;
    Lock lock_;
    Condition condition_{lock_};
    BoundedSemaphore semaphore_{kPermits};
    Event event_;
    Barrier barrier_{kParties};
    int holders_ = 0;
    int permits_ = 0;
    size_t notified_ = 0;
    size_t woken_ = 0;
    size_t met_ = 0;
    bool disturbed_ = false;  // the barrier, by reset() or abort()
    bool one_left_ = false;   // the barrier, cancelled
    std::vector<Participant> participants_;
};

Coro<> play(Input& input) {
    Script script(input);
    co_await script.run();
}

/// One of each, and tasks that wait for them when their loop is closed, or they themselves go.
class Abandoned {
  public:
    explicit Abandoned(Input& input) : input_(input) {}

    void run() { all_.run(begin()); }

  private:
    Coro<> begin() {
        for (int i = 0; i < 12; ++i) tasks_.push_back(create_task(live(input_.below(5))));
        for (size_t turns = input_.below(3); turns > 0; --turns) co_await turn();
        // Some are woken and have not run yet.
        if (input_.chance() && lock_->locked()) lock_->release();
        if (input_.chance() && permits_taken_ > 0) semaphore_->release();
        if (input_.chance()) event_->set();
        if (input_.chance() && lock_->locked()) condition_->notify(2);
        if (input_.below(3) != 0) co_return;
        gone_ = true;
        condition_.reset();
        semaphore_.reset();
        event_.reset();
        barrier_.reset();
        co_await turn();
    }
    Coro<> live(size_t role) {
        const AbandonedTasks::Life life(all_);
        if (gone_) co_return;
        try {
            co_await wait_for(role);
        } catch (const std::logic_error&) {  // it was destroyed
            FUZZ_CHECK(gone_);
        }
    }
    Coro<> wait_for(size_t role) {
        switch (role) {
            case 0:
                co_await lock_->acquire();
                break;
            case 1:
                co_await semaphore_->acquire();
                ++permits_taken_;
                break;
            case 2:
                co_await condition_->acquire();
                if (!gone_) co_await condition_->wait();
                break;
            case 3:
                co_await event_->wait();
                break;
            default:
                (void)co_await barrier_->wait();
        }
    }

    Input& input_;
    std::optional<Lock> lock_{std::in_place};
    std::optional<Condition> condition_{std::in_place, *lock_};
    std::optional<Semaphore> semaphore_{std::in_place, 2};
    std::optional<Event> event_{std::in_place};
    std::optional<Barrier> barrier_{std::in_place, 5};
    std::vector<Task<>> tasks_;
    bool gone_ = false;  // all but the lock
    int permits_taken_ = 0;
    AbandonedTasks all_;
};

}  // namespace
}  // namespace asyncio::fuzz

FUZZ_TARGET(locks) {
    asyncio::fuzz::Input again = input;
    asyncio::fuzz::run(asyncio::fuzz::play(input));
    asyncio::fuzz::Abandoned(again).run();
}
