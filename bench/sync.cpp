// SPDX-License-Identifier: MIT
//
// Microbenchmarks of locks and queues, under the names and in the sizes of the peers' programs.
#include <asyncio/asyncio.hpp>

#include <cstdlib>
#include <vector>

#include "harness.hpp"

namespace {

using asyncio::Coro;
using asyncio::Task;
using bench::Harness;
using bench::Stopwatch;

Coro<> lock_and_unlock(const Harness& harness) {
    asyncio::Lock lock;
    const Stopwatch watch;
    for (int i = 0; i < bench::kLocks; ++i) {
        co_await lock.acquire();
        bench::keep(lock);
        lock.release();
    }
    harness.emit(bench::kLock, watch.per(bench::kLocks));
}

Coro<> contend_for(asyncio::Lock& lock, long& count) {
    for (int i = 0; i < bench::kContentions; ++i) {
        co_await lock.acquire();
        co_await asyncio::sleep(asyncio::Duration::zero());
        ++count;
        lock.release();
    }
}

Coro<> contend(const Harness& harness) {
    asyncio::Lock lock;
    long count = 0;
    std::vector<Task<>> tasks;
    tasks.reserve(bench::kContenders);
    const Stopwatch watch;
    for (int i = 0; i < bench::kContenders; ++i)
        tasks.push_back(asyncio::create_task(contend_for(lock, count)));
    for (const Task<>& task : tasks) co_await task;
    harness.emit(bench::kContended, watch.per(static_cast<double>(count)));
}

Coro<> produce(asyncio::Queue<int>& queue) {
    for (int i = 0; i < bench::kItems; ++i) co_await queue.put(i);
}

Coro<> consume(asyncio::Queue<int>& queue) {
    long sum = 0;
    for (int i = 0; i < bench::kItems; ++i) sum += co_await queue.get();
    if (sum != static_cast<long>(bench::kItems) * (bench::kItems - 1) / 2) std::abort();
}

Coro<> pass_items(const Harness& harness, int maxsize, const char* name) {
    asyncio::Queue<int> queue(maxsize);
    const Stopwatch watch;
    const Task<> producer = asyncio::create_task(produce(queue));
    const Task<> consumer = asyncio::create_task(consume(queue));
    co_await producer;
    co_await consumer;
    harness.emit(name, watch.per(bench::kItems));
}

}  // namespace

int main(int argc, char** argv) {
    const Harness harness(argc, argv, "asyncio");
    if (harness.wants("st", bench::kLock)) asyncio::run(lock_and_unlock(harness));
    if (harness.wants("st", bench::kContended)) asyncio::run(contend(harness));
    const struct {
        int maxsize;
        const char* name;
    } channels[] = {{1, bench::kChannel1}, {64, bench::kChannel64}, {0, bench::kChannel}};
    for (const auto& [maxsize, name] : channels)
        if (harness.wants("st", name)) asyncio::run(pass_items(harness, maxsize, name));
}
