// SPDX-License-Identifier: MIT
#include <asyncio/base/runnable.hpp>

#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

std::vector<int> seen;

struct Item : Runnable {
    explicit Item(int n) : Runnable(&turn), number(n) {}
    static void turn(Runnable& self, Turn turn) {
        const int number = static_cast<Item&>(self).number;
        seen.push_back(turn == Turn::run ? number : -number);
    }
    int number;
};

TEST(RunQueue, is_first_in_first_out_and_elements_come_back) {
    seen.clear();
    Item a(1), b(2), c(3);
    RunQueue queue;
    queue.push(a);
    queue.push(b);
    queue.pop().run();
    queue.push(a);
    queue.push(c);
    while (!queue.empty()) queue.pop().discard();
    queue.push(b);
    queue.pop().run();
    EXPECT_EQ(seen, (std::vector<int>{1, -2, -1, -3, 2}));
}

TEST(RunQueue, take_and_prepend_keep_the_order) {
    seen.clear();
    Item a(1), b(2), c(3), d(4);
    RunQueue queue;
    RunQueue batch;
    batch.take(queue);
    EXPECT_TRUE(batch.empty());
    queue.push(a);
    queue.push(b);
    batch.take(queue);
    EXPECT_TRUE(queue.empty());
    queue.push(c);
    batch.pop().run();
    queue.prepend(batch);
    EXPECT_TRUE(batch.empty());
    queue.prepend(batch);
    queue.push(d);
    while (!queue.empty()) queue.pop().run();
    RunQueue empty;
    batch.push(a);
    empty.prepend(batch);
    empty.push(b);
    while (!empty.empty()) empty.pop().run();
    EXPECT_EQ(seen, (std::vector<int>{1, 2, 3, 4, 1, 2}));
}

}  // namespace
}  // namespace asyncio
