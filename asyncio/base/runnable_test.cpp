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

TEST(RunQueue, push_front_overtakes) {
    seen.clear();
    Item a(1), b(2), c(3);
    RunQueue queue;
    queue.push_front(b);
    queue.push(c);
    queue.push_front(a);
    while (!queue.empty()) queue.pop().run();
    EXPECT_EQ(seen, (std::vector<int>{1, 2, 3}));
}

TEST(RunBatch, holds_what_was_queued_and_puts_the_rest_back_first) {
    seen.clear();
    Item a(1), b(2), c(3), d(4);
    RunQueue queue;
    EXPECT_TRUE(RunBatch(queue).empty());
    queue.push(a);
    queue.push(b);
    queue.push(c);
    {
        RunBatch batch(queue);
        EXPECT_TRUE(queue.empty());
        batch.pop().run();
        queue.push(d);
    }
    while (!queue.empty()) queue.pop().run();
    queue.push(a);
    queue.push(b);
    {
        RunBatch batch(queue);
        batch.pop().run();
    }
    queue.push(c);
    while (!queue.empty()) queue.pop().run();
    EXPECT_EQ(seen, (std::vector<int>{1, 2, 3, 4, 1, 2, 3}));
}

}  // namespace
}  // namespace asyncio
