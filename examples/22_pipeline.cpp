// SPDX-License-Identifier: MIT
//
// A pipeline: texts go to a pool of workers, their findings to one task that adds them up.
//
//     ./dev example 22
//
// prints:
//     a 200
//     b 100
//     c 50
//     n 100
#include <asyncio/asyncio.hpp>

#include <cstdio>
#include <map>

using namespace std::chrono_literals;
using asyncio::Coro;
using Counts = std::map<char, int>;

Coro<> worker(asyncio::Queue<std::string>& texts, asyncio::Queue<Counts>& findings) {
    auto work = texts.items();
    while (auto text = co_await work.next()) {
        co_await asyncio::sleep(1ms);  // as if it were hard
        Counts counts;
        for (const char c : *text) ++counts[c];
        co_await findings.put(std::move(counts));
    }
}

Coro<Counts> add_up(asyncio::Queue<Counts>& findings) {
    Counts total;
    auto work = findings.items();
    while (auto counts = co_await work.next())
        for (const auto& [c, n] : *counts) total[c] += n;
    co_return total;
}

Coro<> count_letters() {
    asyncio::Queue<std::string> texts(4);
    asyncio::Queue<Counts> findings(4);
    auto total = asyncio::create_task(add_up(findings));
    co_await asyncio::with(asyncio::TaskGroup(), [&](asyncio::TaskGroup& pool) -> Coro<> {
        for (int i = 0; i < 3; ++i) (void)pool.create_task(worker(texts, findings));
        for (int i = 0; i < 100; ++i) co_await texts.put(i % 2 == 0 ? "banana" : "cab");
        texts.shutdown();  // the workers finish what there is, and end
    });
    findings.shutdown();
    const Counts counts = co_await total;
    for (const auto& [c, n] : counts) std::printf("%c %d\n", c, n);
}

int main() { asyncio::run(count_letters()); }
