// SPDX-License-Identifier: MIT
//
// What the tests of queues share: the three kinds, and tasks that write down what they get and put.
#pragma once

#include <asyncio/sync/queue.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>

#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio::sync_tests {

template <class Q>
Coro<> get_and_note(Q& queue, Events& events, std::string name) {
    const auto item = co_await queue.get();
    events.push_back(name + " got " + std::to_string(item));
}

template <class Q>
Coro<> put_and_note(Q& queue, Events& events, int item) {
    co_await queue.put(item);
    events.push_back("put " + std::to_string(item));
}

template <class Q>
std::vector<int> drain(Q& queue) {
    std::vector<int> items;
    while (!queue.empty()) items.push_back(queue.get_nowait());
    return items;
}

/// The same rules hold for all three.
template <class Q>
class AnyQueue : public ::testing::Test {};
using AllQueues = ::testing::Types<Queue<int>, LifoQueue<int>, PriorityQueue<int>>;
class QueueNames {
  public:
    template <class Q>
    static std::string GetName(int) {
        if (std::is_same_v<Q, Queue<int>>) return "fifo";
        return std::is_same_v<Q, LifoQueue<int>> ? "lifo" : "priority";
    }
};

}  // namespace asyncio::sync_tests
