// SPDX-License-Identifier: MIT
//
// Microbenchmarks of the library: coroutines, tasks, timers, posts of other threads.
// The floor they are held against is floor.cpp. Both, with the ratios: `./dev bench micro`.
#include <asyncio/asyncio.hpp>

#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "harness.hpp"

namespace {

using asyncio::Coro;
using asyncio::Duration;
using asyncio::Task;
using bench::Harness;
using bench::Stopwatch;
using std::chrono::milliseconds;

void require(bool condition) {
    if (!condition) std::abort();
}

[[gnu::noinline]] Coro<int> trivial(int x) { co_return x + 1; }

Coro<> await_trivial(const Harness& harness) {
    int sum = 0;
    const Stopwatch watch;
    for (int i = 0; i < bench::kAwaits; ++i) sum = co_await trivial(sum);
    bench::keep(sum);
    harness.emit(bench::kAwait, watch.per(bench::kAwaits));
}

Coro<> nothing() { co_return; }

/// Joined through their handles, one by one.
Coro<> spawn_and_join(const Harness& harness) {
    std::vector<Task<>> tasks;
    tasks.reserve(bench::kSpawns);
    const Stopwatch watch;
    for (int i = 0; i < bench::kSpawns; ++i) tasks.push_back(asyncio::create_task(nothing()));
    for (const Task<>& task : tasks) co_await task;
    harness.emit(bench::kSpawnJoin, watch.per(bench::kSpawns));
}

Coro<> spawn_and_await(const Harness& harness) {
    const Stopwatch watch;
    for (int i = 0; i < bench::kSpawns; ++i) co_await asyncio::create_task(nothing());
    harness.emit(bench::kSpawnAwait, watch.per(bench::kSpawns));
}

/// What gather and task groups of as many are held against.
Coro<> spawn_and_await_crowds(const Harness& harness) {
    std::vector<Task<>> tasks;
    tasks.reserve(bench::kCrowd);
    const Stopwatch watch;
    for (int i = 0; i < bench::kCrowds; ++i) {
        for (int k = 0; k < bench::kCrowd; ++k) tasks.push_back(asyncio::create_task(nothing()));
        for (const Task<>& task : tasks) co_await task;
        tasks.clear();
    }
    harness.emit(bench::kCrowdAwait, watch.per(bench::kCrowds * bench::kCrowd));
}

Coro<> gather_crowds(const Harness& harness) {
    const Stopwatch watch;
    for (int i = 0; i < bench::kCrowds; ++i) {
        std::vector<Coro<>> children;
        children.reserve(bench::kCrowd);
        for (int k = 0; k < bench::kCrowd; ++k) children.push_back(nothing());
        co_await asyncio::gather(std::move(children));
    }
    harness.emit(bench::kGather, watch.per(bench::kCrowds * bench::kCrowd));
}

Coro<> group_crowds(const Harness& harness) {
    const auto start_all = [](asyncio::TaskGroup& group) -> Coro<> {
        for (int k = 0; k < bench::kCrowd; ++k) (void)group.create_task(nothing());
        co_return;
    };
    const Stopwatch watch;
    for (int i = 0; i < bench::kCrowds; ++i)
        co_await asyncio::with(asyncio::TaskGroup(), start_all);
    harness.emit(bench::kTaskGroup, watch.per(bench::kCrowds * bench::kCrowd));
}

Coro<> yield_often(int times) {
    for (int i = 0; i < times; ++i) co_await asyncio::sleep(Duration::zero());
}

Coro<> yield_among(const Harness& harness, int count, const char* name) {
    std::vector<Task<>> tasks;
    const Stopwatch watch;
    for (int i = 0; i < count; ++i)
        tasks.push_back(asyncio::create_task(yield_often(bench::kYields / count)));
    for (const Task<>& task : tasks) co_await task;
    harness.emit(name, watch.per(bench::kYields));
}

ASYNCIO_CORO_WRAPPER Coro<> yield_switch(const Harness& harness) {
    return yield_among(harness, 2, bench::kYield);
}

ASYNCIO_CORO_WRAPPER Coro<> yield_among_many(const Harness& harness) {
    return yield_among(harness, 16, bench::kYieldMany);
}

struct Ignored final : asyncio::Runnable {
    Ignored() noexcept : Runnable([](Runnable&, Turn) {}) {}
};

/// The timers themselves, as sleep() uses them; like the peers' they are made before the clock
/// runs.
Coro<> arm_and_cancel(const Harness& harness) {
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    Ignored target;
    std::vector<asyncio::loop::Timer> timers(bench::kTimers);
    for (auto& timer : timers) timer.set_target(target);
    const Stopwatch watch;
    const asyncio::TimePoint now = loop.time();
    int i = 0;
    for (auto& timer : timers)
        loop.timers().arm(timer, now + milliseconds(bench::timer_delay_ms(i++)));
    for (auto& timer : timers) loop.timers().cancel(timer);
    harness.emit(bench::kTimer, watch.per(bench::kTimers));
    co_return;
}

/// What users call: allocates a node, keeps a handle, reads the clock.
Coro<> call_later_and_cancel(const Harness& harness) {
    asyncio::EventLoop& loop = asyncio::get_running_loop();
    std::vector<asyncio::TimerHandle> handles;
    handles.reserve(bench::kTimers);
    const Stopwatch watch;
    for (int i = 0; i < bench::kTimers; ++i)
        handles.push_back(loop.call_later(milliseconds(bench::timer_delay_ms(i)), [] {}));
    for (asyncio::TimerHandle& handle : handles) handle.cancel();
    harness.emit(bench::kCallLater, watch.per(bench::kTimers));
    co_return;
}

Coro<> nap(int ms) { co_await asyncio::sleep(milliseconds(ms)); }

Coro<> sleep_all(const Harness& harness) {
    std::vector<Task<>> tasks;
    tasks.reserve(bench::kSleepers);
    const double start = bench::cpu_ns();
    for (int i = 0; i < bench::kSleepers; ++i)
        tasks.push_back(asyncio::create_task(nap(bench::sleep_ms(i))));
    for (const Task<>& task : tasks) co_await task;
    harness.emit(bench::kSleep, (bench::cpu_ns() - start) / bench::kSleepers);
}

Coro<> cancel_all(const Harness& harness) {
    std::vector<Task<>> tasks;
    tasks.reserve(bench::kSleepers);
    for (int i = 0; i < bench::kSleepers; ++i) tasks.push_back(asyncio::create_task(nap(100'000)));
    co_await asyncio::sleep(Duration::zero());
    const Stopwatch watch;
    for (const Task<>& task : tasks) task.cancel();
    co_await asyncio::sleep(Duration::zero());
    for (const Task<>& task : tasks) require(task.cancelled());
    harness.emit(bench::kCancel, watch.per(bench::kSleepers));
}

/// Does not return: a million tasks need no tidy end.
Coro<> measure_memory(const Harness& harness) {
    const double before = bench::resident_bytes();
    for (int i = 0; i < bench::kMemorySleepers; ++i)
        (void)asyncio::create_task(nap(1'000'000 + i % 1000));
    co_await asyncio::sleep(Duration::zero());
    const double bytes = bench::resident_bytes() - before;
    harness.emit(bench::kMemory, bytes / bench::kMemorySleepers, "bytes");
    std::_Exit(0);
}

// --- several threads ---------------------------------------------------------------------------

void post_often(const Harness& harness) {
    asyncio::EventLoop loop;
    int count = 0;
    const Stopwatch watch;
    std::thread poster([&] {
        for (int i = 0; i < bench::kPosts; ++i)
            loop.call_soon_threadsafe([&] {
                if (++count == bench::kPosts) loop.stop();
            });
    });
    loop.run_forever();
    poster.join();
    harness.emit(bench::kPost, watch.per(bench::kPosts));
    loop.close();
}

/// From the post to the callback, with the loop asleep.
void ping(const Harness& harness) {
    asyncio::EventLoop loop;
    std::vector<double> latencies;
    latencies.reserve(bench::kPings);
    std::atomic<bool> arrived = false;
    std::thread poster([&] {
        for (int i = 0; i < bench::kPings; ++i) {
            arrived = false;
            loop.call_soon_threadsafe([&, posted = bench::now_ns()] {
                latencies.push_back(static_cast<double>(bench::now_ns() - posted));
                arrived = true;
            });
            while (!arrived) {
            }
            bench::spin_us(5);
        }
        loop.call_soon_threadsafe([&] { loop.stop(); });
    });
    loop.run_forever();
    poster.join();
    bench::emit_latencies(harness, bench::kPing, std::move(latencies));
    loop.close();
}

/// Through the default pool and back.
Coro<> call_blocking(const Harness& harness) {
    int sum = 0;
    const Stopwatch watch;
    for (int i = 0; i < bench::kBlockingCalls; ++i)
        sum += co_await asyncio::to_thread([] { return 1; });
    bench::keep(sum);
    harness.emit(bench::kBlocking, watch.per(bench::kBlockingCalls));
}

}  // namespace

int main(int argc, char** argv) {
    const Harness harness(argc, argv, "asyncio");
    struct {
        const char* bench;
        Coro<> (*run)(const Harness&);
    } const benches[] = {
        {bench::kAwait, await_trivial},
        {bench::kSpawnJoin, spawn_and_join},
        {bench::kSpawnAwait, spawn_and_await},
        {bench::kCrowdAwait, spawn_and_await_crowds},
        {bench::kGather, gather_crowds},
        {bench::kTaskGroup, group_crowds},
        {bench::kYield, yield_switch},
        {bench::kYieldMany, yield_among_many},
        {bench::kTimer, arm_and_cancel},
        {bench::kCallLater, call_later_and_cancel},
        {bench::kSleep, sleep_all},
        {bench::kCancel, cancel_all},
    };
    for (const auto& [name, run] : benches)
        if (harness.wants("st", name)) asyncio::run(run(harness));
    if (harness.wants("mt", bench::kPost)) post_often(harness);
    if (harness.wants("mt", bench::kPing)) ping(harness);
    if (harness.wants("mt", bench::kBlocking)) asyncio::run(call_blocking(harness));
    if (harness.wants("st", bench::kMemory)) {
        std::fflush(stdout);
        asyncio::run(measure_memory(harness));
    }
}
