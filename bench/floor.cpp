// SPDX-License-Identifier: MIT
//
// The floor of micro.cpp and sync.cpp: the same work with the least that C++ coroutines need for
// it. No tasks, no handles, no cancellation, no errors, no loop but a list of what is ready:
// intrusive links, frames from a free list that never gives back, a timer wheel of one level, a
// lock that hands itself over, channels for one reader and one writer in memory of their full size.
#include <atomic>
#include <cerrno>
#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>

#include "floor_runtime.hpp"
#include "harness.hpp"

namespace {

using namespace bench::floor;
using bench::Harness;
using bench::Stopwatch;

void require(bool condition) {
    if (!condition) std::abort();
}

[[gnu::noinline]] Called trivial(int x) { co_return x + 1; }

Spawned await_trivial(const Harness& harness) {
    int sum = 0;
    const Stopwatch watch;
    for (int i = 0; i < bench::kAwaits; ++i) sum = co_await trivial(sum);
    bench::keep(sum);
    harness.emit(bench::kAwait, watch.per(bench::kAwaits));
}

Spawned count(int& counter) {
    ++counter;
    co_return;
}

void spawn_and_join(const Harness& harness) {
    int done = 0;
    const Stopwatch watch;
    for (int i = 0; i < bench::kSpawns; ++i) count(done);
    ready.run();
    require(done == bench::kSpawns);
    harness.emit(bench::kSpawnJoin, watch.per(bench::kSpawns));
}

void spawn_and_await(const Harness& harness) {
    int done = 0;
    const Stopwatch watch;
    for (int i = 0; i < bench::kSpawns; ++i) {
        count(done);
        ready.run();
    }
    harness.emit(bench::kSpawnAwait, watch.per(bench::kSpawns));
}

Spawned yield_often(int times) {
    Yield yield;
    for (int i = 0; i < times; ++i) co_await yield;
}

void yield_among(const Harness& harness, int count, const char* name) {
    const Stopwatch watch;
    for (int i = 0; i < count; ++i) yield_often(bench::kYields / count);
    ready.run();
    harness.emit(name, watch.per(bench::kYields));
}

void yield_switch(const Harness& harness) { yield_among(harness, 2, bench::kYield); }
void yield_among_many(const Harness& harness) { yield_among(harness, 16, bench::kYieldMany); }

// --- locks and channels ------------------------------------------------------------------------

class Lock {
  public:
    struct Acquire {
        Lock& lock;
        Ready::Node node = {};
        bool await_ready() const { return !std::exchange(lock.held_, true); }
        void await_suspend(std::coroutine_handle<> frame) {
            node.frame = frame;
            node.next = nullptr;
            *lock.last_ = &node;
            lock.last_ = &node.next;
        }
        void await_resume() const {}
    };
    Acquire acquire() { return {*this}; }
    void release() {
        if (first_ == nullptr) {
            held_ = false;
            return;
        }
        Ready::Node& node = *first_;
        first_ = node.next;
        if (first_ == nullptr) last_ = &first_;
        ready.push(node);
    }

  private:
    bool held_ = false;
    Ready::Node* first_ = nullptr;
    Ready::Node** last_ = &first_;
};

/// For one reader and one writer.
class Channel {
  public:
    explicit Channel(std::size_t capacity) : items_(capacity) {}

    struct Room : Ready::Node {
        Channel& channel;
        explicit Room(Channel& c) : channel(c) {}
        bool await_ready() const { return channel.size_ < channel.items_.size(); }
        void await_suspend(std::coroutine_handle<> waiting) {
            frame = waiting;
            channel.writer_ = this;
        }
        void await_resume() const {}
    };
    struct Item : Ready::Node {
        Channel& channel;
        explicit Item(Channel& c) : channel(c) {}
        bool await_ready() const { return channel.size_ > 0; }
        void await_suspend(std::coroutine_handle<> waiting) {
            frame = waiting;
            channel.reader_ = this;
        }
        void await_resume() const {}
    };
    void store(int item) {
        std::size_t index = first_ + size_++;
        if (index >= items_.size()) index -= items_.size();
        items_[index] = item;
        if (reader_ != nullptr) ready.push(*std::exchange(reader_, nullptr));
    }
    int take() {
        const int item = items_[first_];
        if (++first_ == items_.size()) first_ = 0;
        --size_;
        if (writer_ != nullptr) ready.push(*std::exchange(writer_, nullptr));
        return item;
    }

  private:
    std::vector<int> items_;
    std::size_t first_ = 0;
    std::size_t size_ = 0;
    Ready::Node* reader_ = nullptr;
    Ready::Node* writer_ = nullptr;
};

Spawned lock_and_unlock(Lock& lock) {
    for (int i = 0; i < bench::kLocks; ++i) {
        co_await lock.acquire();
        bench::keep(lock);
        lock.release();
    }
}

Spawned contend_for(Lock& lock, long& acquired) {
    Yield yield;
    for (int i = 0; i < bench::kContentions; ++i) {
        co_await lock.acquire();
        co_await yield;
        ++acquired;
        lock.release();
    }
}

void uncontended(const Harness& harness) {
    Lock lock;
    const Stopwatch watch;
    lock_and_unlock(lock);
    ready.run();
    harness.emit(bench::kLock, watch.per(bench::kLocks));
}

void contended(const Harness& harness) {
    Lock lock;
    long acquired = 0;
    const Stopwatch watch;
    for (int i = 0; i < bench::kContenders; ++i) contend_for(lock, acquired);
    ready.run();
    harness.emit(bench::kContended, watch.per(static_cast<double>(acquired)));
}

Spawned produce(Channel& channel) {
    for (int i = 0; i < bench::kItems; ++i) {
        co_await Channel::Room(channel);
        channel.store(i);
    }
}

Spawned consume(Channel& channel, long& sum) {
    for (int i = 0; i < bench::kItems; ++i) {
        co_await Channel::Item(channel);
        sum += channel.take();
    }
}

void pass_items(const Harness& harness, std::size_t capacity, const char* name) {
    Channel channel(capacity);
    long sum = 0;
    const Stopwatch watch;
    produce(channel);
    consume(channel, sum);
    ready.run();
    require(sum == static_cast<long>(bench::kItems) * (bench::kItems - 1) / 2);
    harness.emit(name, watch.per(bench::kItems));
}

void channel_of_1(const Harness& harness) { pass_items(harness, 1, bench::kChannel1); }
void channel_of_64(const Harness& harness) { pass_items(harness, 64, bench::kChannel64); }
void channel_for_all(const Harness& harness) {
    pass_items(harness, bench::kItems, bench::kChannel);
}

// --- timers ------------------------------------------------------------------------------------

struct Timer {
    Timer* previous = nullptr;
    Timer* next = nullptr;
    Ready::Node node;
};

/// Slots of one millisecond; as many as these benchmarks need.
class Wheel {
  public:
    Wheel() : slots_(kSlots) {
        for (Timer& slot : slots_) slot.previous = slot.next = &slot;
    }
    std::int64_t tick() const { return tick_; }
    void arm(Timer& timer, std::int64_t at) {
        Timer& slot = slots_[static_cast<std::size_t>(at) % kSlots];
        timer.next = &slot;
        timer.previous = slot.previous;
        slot.previous->next = &timer;
        slot.previous = &timer;
        ++armed_;
    }
    void cancel(Timer& timer) {
        timer.previous->next = timer.next;
        timer.next->previous = timer.previous;
        --armed_;
    }
    void run() {
        ready.run();
        while (armed_ > 0) {
            sleep_until_next();
            for (const std::int64_t now = bench::now_ns() / 1'000'000; tick_ <= now; ++tick_)
                expire(slots_[static_cast<std::size_t>(tick_) % kSlots]);
            ready.run();
        }
    }

  private:
    static constexpr std::size_t kSlots = 1u << 15;

    void expire(Timer& slot) {
        while (slot.next != &slot) {
            Timer& timer = *slot.next;
            cancel(timer);
            ready.push(timer.node);
        }
    }
    void sleep_until_next() {
        while (slots_[static_cast<std::size_t>(tick_) % kSlots].next ==
               &slots_[static_cast<std::size_t>(tick_) % kSlots])
            ++tick_;
        const timespec when{tick_ / 1000, tick_ % 1000 * 1'000'000};
        while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, nullptr) == EINTR) {
        }
    }

    std::vector<Timer> slots_;
    std::int64_t tick_ = bench::now_ns() / 1'000'000;
    long armed_ = 0;
};

struct Sleep {
    Wheel& wheel;
    std::int64_t until;
    std::vector<Timer*>* sleepers = nullptr;
    Timer timer = {};
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> frame) {
        timer.node.frame = frame;
        wheel.arm(timer, until);
        if (sleepers != nullptr) sleepers->push_back(&timer);
    }
    void await_resume() const {}
};

Spawned nap(Wheel& wheel, int ms) { co_await Sleep{wheel, bench::now_ns() / 1'000'000 + ms}; }

Spawned cancelled_nap(Wheel& wheel, std::vector<Timer*>& sleepers, int& done) {
    co_await Sleep{wheel, wheel.tick() + 20'000, &sleepers};
    ++done;
}

void arm_and_cancel(const Harness& harness) {
    Wheel wheel;
    std::vector<Timer> timers(bench::kTimers);
    const Stopwatch watch;
    int i = 0;
    for (Timer& timer : timers) wheel.arm(timer, wheel.tick() + bench::timer_delay_ms(i++));
    for (Timer& timer : timers) wheel.cancel(timer);
    harness.emit(bench::kTimer, watch.per(bench::kTimers));
}

void sleep_all(const Harness& harness) {
    Wheel wheel;
    const double start = bench::cpu_ns();
    for (int i = 0; i < bench::kSleepers; ++i) nap(wheel, bench::sleep_ms(i));
    wheel.run();
    harness.emit(bench::kSleep, (bench::cpu_ns() - start) / bench::kSleepers);
}

/// Removes the timers and runs the coroutines on, without an exception.
void cancel_all(const Harness& harness) {
    Wheel wheel;
    std::vector<Timer*> sleepers;
    sleepers.reserve(bench::kSleepers);
    int done = 0;
    for (int i = 0; i < bench::kSleepers; ++i) cancelled_nap(wheel, sleepers, done);
    ready.run();
    const Stopwatch watch;
    for (Timer* timer : sleepers) {
        wheel.cancel(*timer);
        ready.push(timer->node);
    }
    ready.run();
    require(done == bench::kSleepers);
    harness.emit(bench::kCancel, watch.per(bench::kSleepers));
}

void measure_memory(const Harness& harness) {
    auto& wheel = *new Wheel;
    const double before = bench::resident_bytes();
    for (int i = 0; i < bench::kMemorySleepers; ++i) nap(wheel, 20'000 + i % 1000);
    ready.run();
    const double bytes = bench::resident_bytes() - before;
    harness.emit(bench::kMemory, bytes / bench::kMemorySleepers, "bytes");
    std::_Exit(0);
}

// --- one exception into a suspended coroutine --------------------------------------------------

struct Cancelled final : std::exception {};

/// Suspends once; the await throws, the promise keeps the exception.
struct Thrown {
    struct promise_type : Pooled {
        std::exception_ptr error;

        Thrown get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() noexcept { error = std::current_exception(); }
    };
    std::coroutine_handle<promise_type> frame;
};

struct ThrowsWhenResumed {
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<>) const {}
    void await_resume() const { throw Cancelled(); }
};

Thrown wait_for_it() { co_await ThrowsWhenResumed{}; }

void throw_into_all(const Harness& harness) {
    std::vector<Thrown> all;
    all.reserve(bench::kSleepers);
    for (int i = 0; i < bench::kSleepers; ++i) all.push_back(wait_for_it());
    const Stopwatch watch;
    for (const Thrown& one : all) {
        one.frame.resume();
        require(one.frame.promise().error != nullptr);
        one.frame.destroy();
    }
    harness.emit(bench::kThrow, watch.per(bench::kSleepers));
}

// --- several threads ---------------------------------------------------------------------------

/// A vector under a mutex; an eventfd that is written when it was empty.
class Mailbox {
  public:
    void post(std::int64_t letter) {
        bool first = false;
        {
            const std::lock_guard lock(mutex_);
            first = letters_.empty();
            letters_.push_back(letter);
        }
        const std::uint64_t one = 1;
        if (first) require(::write(event_, &one, sizeof one) == sizeof one);
    }
    std::vector<std::int64_t>& await() {
        pollfd waiting{event_, POLLIN, 0};
        ::poll(&waiting, 1, -1);
        std::uint64_t ignored = 0;
        (void)!::read(event_, &ignored, sizeof ignored);
        taken_.clear();
        const std::lock_guard lock(mutex_);
        taken_.swap(letters_);
        return taken_;
    }

  private:
    std::mutex mutex_;
    std::vector<std::int64_t> letters_;
    std::vector<std::int64_t> taken_;
    int event_ = ::eventfd(0, EFD_NONBLOCK);
};

void post_often(const Harness& harness) {
    Mailbox mailbox;
    const Stopwatch watch;
    std::thread poster([&] {
        for (int i = 0; i < bench::kPosts; ++i) mailbox.post(0);
    });
    for (std::size_t count = 0; count < bench::kPosts;) count += mailbox.await().size();
    poster.join();
    harness.emit(bench::kPost, watch.per(bench::kPosts));
}

void ping(const Harness& harness) {
    Mailbox mailbox;
    std::vector<double> latencies;
    latencies.reserve(bench::kPings);
    std::atomic<bool> arrived = false;
    std::thread poster([&] {
        for (int i = 0; i < bench::kPings; ++i) {
            arrived = false;
            mailbox.post(bench::now_ns());
            while (!arrived) {
            }
            bench::spin_us(5);
        }
    });
    while (latencies.size() < bench::kPings) {
        const auto& letters = mailbox.await();
        const std::int64_t now = bench::now_ns();
        for (const std::int64_t posted : letters)
            latencies.push_back(static_cast<double>(now - posted));
        if (!letters.empty()) arrived = true;
    }
    poster.join();
    bench::emit_latencies(harness, bench::kPing, std::move(latencies));
}

}  // namespace

int main(int argc, char** argv) {
    const Harness harness(argc, argv, "raw-floor");
    struct {
        const char* group;
        const char* bench;
        void (*run)(const Harness&);
    } const benches[] = {
        {"st", bench::kSpawnJoin, spawn_and_join},
        {"st", bench::kSpawnAwait, spawn_and_await},
        {"st", bench::kYield, yield_switch},
        {"st", bench::kYieldMany, yield_among_many},
        {"st", bench::kLock, uncontended},
        {"st", bench::kContended, contended},
        {"st", bench::kChannel1, channel_of_1},
        {"st", bench::kChannel64, channel_of_64},
        {"st", bench::kChannel, channel_for_all},
        {"st", bench::kTimer, arm_and_cancel},
        {"st", bench::kSleep, sleep_all},
        {"st", bench::kCancel, cancel_all},
        {"st", bench::kThrow, throw_into_all},
        {"mt", bench::kPost, post_often},
        {"mt", bench::kPing, ping},
        {"st", bench::kMemory, measure_memory},
    };
    if (harness.wants("st", bench::kAwait)) {
        await_trivial(harness);
        ready.run();
    }
    for (const auto& [group, name, run] : benches)
        if (harness.wants(group, name)) run(harness);
}
