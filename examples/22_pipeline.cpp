// SPDX-License-Identifier: MIT
//
// A pipeline: texts go to a pool of workers, their findings to one task that adds them up.
//
//     build/dev/example_22_pipeline
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using asyncio::Coro;
using Counts = std::map<char, int>;

Coro<> worker(asyncio::Queue<std::string>& texts, asyncio::Queue<Counts>& findings) {
    for (;;) {
        const std::string text = co_await texts.get();
        co_await asyncio::sleep(1ms);  // as if it were hard
        Counts counts;
        for (const char c : text) ++counts[c];
        co_await findings.put(std::move(counts));
        texts.task_done();
    }
}

Coro<Counts> aggregate(asyncio::Queue<Counts>& findings) {
    Counts total;
    try {
        for (;;) {
            const Counts counts = co_await findings.get();
            for (const auto& [c, n] : counts) total[c] += n;
        }
    } catch (const asyncio::QueueShutDown&) {
    }
    co_return total;
}

Coro<> count_letters() {
    asyncio::Queue<std::string> texts(4);
    asyncio::Queue<Counts> findings(4);
    std::vector<asyncio::Task<>> pool;
    for (int i = 0; i < 3; ++i) pool.push_back(asyncio::create_task(worker(texts, findings)));
    const asyncio::Task<Counts> total = asyncio::create_task(aggregate(findings));
    for (int i = 0; i < 100; ++i) co_await texts.put(i % 2 == 0 ? "banana" : "cab");
    co_await texts.join();  // every text was worked on
    for (const auto& task : pool) task.cancel();
    findings.shutdown();
    const Counts counts = co_await total;
    for (const auto& [c, n] : counts) std::printf("%c %d\n", c, n);
}

}  // namespace

int main() { asyncio::run(count_letters()); }
