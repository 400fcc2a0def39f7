// SPDX-License-Identifier: MIT
//
// Posts, and descriptors let go, where there is no memory.
#include <asyncio/base/scarce_memory_fixture_test.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/inbox.hpp>

#include <memory>
#include <new>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using memory_tests::out_of_memory;

using InboxMemory = memory_tests::ScarceMemory;

/// What posts itself, as results of threads do.
struct Result {
    explicit Result(std::string& where) : told(where) {}

    static bool post(std::shared_ptr<Result> self, loop::Inbox& inbox, char name) {
        loop::Inbox::Place& place = self->place;
        out_of_memory = true;
        const bool taken =
            inbox.try_post([self = std::move(self), name] { self->told += name; }, place);
        out_of_memory = false;
        return taken;
    }

    std::string& told;
    loop::Inbox::Place place;
};

TEST_F(InboxMemory, C1_the_loops_own_thread_posts_without_memory) {
    EventLoop loop;
    std::string told;
    const std::weak_ptr<Result> result = [&] {
        const auto made = std::make_shared<Result>(told);
        EXPECT_TRUE(Result::post(made, *loop.inbox(), 'a'));
        EXPECT_TRUE(Result::post(std::make_shared<Result>(told), *loop.inbox(), 'b'));
        return made;
    }();
    EXPECT_TRUE(loop.inbox()->try_post([&] { told += 'c'; }));
    EXPECT_EQ(told, "");
    for (int i = 0; i < 3; i++) {
        loop.call_soon([&] { loop.stop(); });
        loop.run_forever();
    }
    EXPECT_EQ(told, "cab");  // what found memory came first
    EXPECT_TRUE(result.expired());
}

TEST_F(InboxMemory, C1_a_post_without_memory_wakes_a_sleeping_loop) {
    EventLoop loop;
    for (int round = 0; round < 100; round++) {
        struct Stop {
            loop::Inbox::Place place;
        };
        std::thread thread([&loop] {
            const auto stop = std::make_shared<Stop>();
            loop::Inbox::Place& place = stop->place;
            out_of_memory = true;
            loop.inbox()->try_post([stop, &loop] { loop.stop(); }, place);
            out_of_memory = false;
        });
        loop.run_forever();
        thread.join();
    }
}

TEST_F(InboxMemory, C14_a_closed_loop_drops_what_found_no_memory) {
    std::string told;
    std::weak_ptr<Result> result;
    EventLoop loop;
    const auto inbox = loop.inbox();
    {
        const auto made = std::make_shared<Result>(told);
        result = made;
        EXPECT_TRUE(Result::post(made, *inbox, 'a'));
    }
    EXPECT_FALSE(result.expired());
    loop.close();
    EXPECT_TRUE(result.expired());
    EXPECT_FALSE(Result::post(std::make_shared<Result>(told), *inbox, 'b'));
    EXPECT_EQ(told, "");
}

using WatchersMemory = InboxMemory;

TEST_F(WatchersMemory, C1_a_descriptor_is_let_go_without_memory) {
    EventLoop loop;
    bool failed = false;
    out_of_memory = true;
    try {
        loop.own_descriptor(1000, false);  // its transport had no memory to own it
    } catch (const std::bad_alloc&) {
        failed = true;
    }
    out_of_memory = false;
    EXPECT_FALSE(failed);
    EXPECT_FALSE(loop.owns_descriptor(1000));
}

}  // namespace
}  // namespace asyncio
