// SPDX-License-Identifier: MIT
//
// Posts, and descriptors let go, where there is no memory. This program's operator new fails when a
// test says so; under a sanitizer, which has one of its own, the tests are skipped.
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/inbox.hpp>

#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ASYNCIO_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ASYNCIO_SANITIZED 1
#endif
#endif

namespace {

thread_local bool out_of_memory = false;

}  // namespace

#ifndef ASYNCIO_SANITIZED
[[gnu::noinline]] void* operator new(std::size_t size) {
    void* const memory = out_of_memory ? nullptr : std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) throw std::bad_alloc();
    return memory;
}
// Not inlined: GCC would see a free() of what came from new.
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace asyncio {
namespace {

class InboxMemory : public ::testing::Test {
    void SetUp() override {
#ifdef ASYNCIO_SANITIZED
        GTEST_SKIP() << "a sanitizer has its own operator new";
#endif
    }
};

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
