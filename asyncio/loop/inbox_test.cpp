// SPDX-License-Identifier: MIT
#include <asyncio/base/context_var.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/testing/error_log.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

using Log = std::vector<std::string>;

class InboxTest : public ::testing::Test {
  protected:
    ~InboxTest() override { loop.close(); }
    void iterate() {
        loop.stop();
        loop.run_forever();
    }
    EventLoop loop;  // real time: these tests wait for threads
    Log log;
};

TEST_F(InboxTest, LOOP_41_a_post_wakes_a_loop_blocked_in_its_poll) {
    std::latch blocked(1);
    struct Hook final : loop::PollHook {
        explicit Hook(std::latch& l) : latch(l) {}
        void before_poll() noexcept override { latch.count_down(); }
        std::latch& latch;
    } hook(blocked);
    loop.before_poll(hook);
    std::thread poster([&] {
        blocked.wait();
        loop.call_soon_threadsafe([&] { loop.stop(); });
    });
    loop.run_forever();  // without a timer: only the post ends it
    poster.join();
}

TEST_F(InboxTest, LOOP_42_from_the_loops_own_thread_it_keeps_order_with_call_soon) {
    loop.call_soon([&] {
        loop.call_soon([&] { log.push_back("1"); });
        loop.call_soon_threadsafe([&] { log.push_back("2"); });
        loop.call_soon([&] { log.push_back("3"); });
        loop.call_soon_threadsafe([&] { log.push_back("4"); });
        log.push_back("0");
    });
    iterate();
    EXPECT_EQ(log, Log{"0"});
    iterate();
    EXPECT_EQ(log, (Log{"0", "1", "2", "3", "4"}));
}

TEST_F(InboxTest, posts_of_one_thread_run_in_its_order_and_before_what_comes_after_them) {
    std::thread([&] {
        for (const char* word : {"1", "2", "3"})
            loop.call_soon_threadsafe([this, word] { log.push_back(word); });
    }).join();
    loop.call_soon([&] { loop.call_soon_threadsafe([&] { log.push_back("4"); }); });
    iterate();
    iterate();
    EXPECT_EQ(log, (Log{"1", "2", "3", "4"}));
}

TEST_F(InboxTest, a_post_may_post_while_others_do) {
    // Found by reading: the batch that was running was swapped for the new posts.
    std::thread([&] {
        loop.call_soon_threadsafe([&] {
            std::thread([&] {
                loop.call_soon_threadsafe([&] { log.push_back("other thread"); });
            }).join();
            loop.call_soon_threadsafe([&] { log.push_back("own thread"); });
            log.push_back("first");
        });
        loop.call_soon_threadsafe([&] { log.push_back("second"); });
    }).join();
    for (int i = 0; i < 3; ++i) iterate();
    std::ranges::sort(log.begin() + 2, log.end());
    EXPECT_EQ(log, (Log{"first", "second", "other thread", "own thread"}));
}

TEST_F(InboxTest, LOOP_43_cancel_from_another_thread_before_the_start_keeps_it_from_running) {
    const auto owned_by_post = std::make_shared<int>(0);
    ThreadsafeHandle posted_here = loop.call_soon_threadsafe([&, owned_by_post] { FAIL(); });
    std::thread([&] {
        posted_here.cancel();
        EXPECT_TRUE(posted_here.cancelled());
        ThreadsafeHandle posted_there = loop.call_soon_threadsafe([owned_by_post] { FAIL(); });
        posted_there.cancel();
        posted_there.cancel();
        EXPECT_TRUE(posted_there.cancelled());
    }).join();
    EXPECT_EQ(owned_by_post.use_count(), 1);
    iterate();
    iterate();
}

TEST_F(InboxTest, LOOP_43_one_post_cancels_a_later_one_of_its_batch) {
    std::vector<ThreadsafeHandle> handles;
    std::thread([&] {
        loop.call_soon_threadsafe([&] { handles[0].cancel(); });
        handles.push_back(loop.call_soon_threadsafe([] { FAIL(); }));
    }).join();
    loop.call_soon([&] {
        handles.push_back(loop.call_soon_threadsafe([] { FAIL(); }));
        handles[1].cancel();
    });
    iterate();
    iterate();
    EXPECT_TRUE(handles[0].cancelled());
    EXPECT_TRUE(handles[1].cancelled());
}

/// Posts from `post_from_loop` or another thread a callback that is running when `meet` returns.
struct Running {
    explicit Running(EventLoop& l, bool post_from_loop) : loop(l) {
        const auto post = [this] {
            handles.push_back(loop.call_soon_threadsafe([this] {
                entered.count_down();
                leave.wait();
                finished = true;
                loop.call_later(0s, [this] { loop.stop(); });
            }));
        };
        if (post_from_loop)
            loop.call_soon(post);
        else
            std::thread(post).join();
    }
    EventLoop& loop;
    std::vector<ThreadsafeHandle> handles;
    std::latch entered{1};
    std::latch leave{1};
    std::atomic<bool> finished = false;
};

TEST_F(InboxTest, LOOP_44_LOOP_45_cancel_and_cancelled_block_while_the_callback_runs) {
    for (const bool post_from_loop : {false, true}) {
        for (const bool cancel : {false, true}) {
            Running running(loop, post_from_loop);
            std::atomic<bool> asked = false;
            std::thread other([&] {
                running.entered.wait();
                asked = true;
                ThreadsafeHandle handle = running.handles[0];
                if (cancel) handle.cancel();
                EXPECT_FALSE(handle.cancelled());
                EXPECT_TRUE(running.finished);
            });
            std::thread releases([&] {
                running.entered.wait();
                while (!asked) std::this_thread::yield();
                running.leave.count_down();
            });
            loop.run_forever();
            other.join();
            releases.join();
        }
    }
}

TEST_F(InboxTest, LOOP_46_a_post_may_cancel_and_query_itself) {
    std::vector<ThreadsafeHandle> handles;
    const auto body = [&](std::size_t index) {
        handles[index].cancel();
        EXPECT_FALSE(handles[index].cancelled());
        log.push_back("ran");
    };
    loop.call_soon([&] { handles.push_back(loop.call_soon_threadsafe(body, std::size_t{0})); });
    iterate();
    std::thread([&] { handles.push_back(loop.call_soon_threadsafe(body, std::size_t{1})); }).join();
    iterate();
    EXPECT_EQ(log, (Log{"ran", "ran"}));
}

TEST_F(InboxTest, LOOP_45_after_the_run_cancel_changes_nothing) {
    ThreadsafeHandle handle = loop.call_soon_threadsafe([&] { log.push_back("ran"); });
    iterate();
    handle.cancel();
    EXPECT_FALSE(handle.cancelled());
    EXPECT_EQ(log, Log{"ran"});
}

TEST_F(InboxTest, a_post_that_throws_is_reported_and_the_next_runs) {
    testing::ErrorLog errors(loop);
    std::thread([&] {
        loop.call_soon_threadsafe([] { throw std::runtime_error("bad"); });
        loop.call_soon_threadsafe([&] { log.push_back("good"); });
    }).join();
    iterate();
    EXPECT_EQ(errors.exceptions(), std::vector<std::string>{"std::runtime_error: bad"});
    EXPECT_EQ(log, Log{"good"});
}

TEST_F(InboxTest, LOOP_47_LOOP_48_waking_far_more_often_than_the_loop_looks) {
    for (int i = 0; i < 100'000; ++i) loop.kernel().wake();
    std::thread([&] {
        for (int i = 0; i < 10'000; ++i) loop.call_soon_threadsafe([&] { log.resize(1); });
    }).join();
    iterate();
    EXPECT_EQ(log.size(), 1U);
    loop.close();
    loop.kernel().wake();
    EXPECT_THROW(loop.call_soon_threadsafe([] {}), std::logic_error);
}

TEST(Inbox, LOOP_47_posting_races_with_close) {
    for (int round = 0; round < 50; ++round) {
        EventLoop loop;
        std::atomic<int> accepted{0};
        const auto alive = std::make_shared<int>(0);
        std::latch start(3);
        const auto post = [&] {
            start.arrive_and_wait();
            try {
                for (;;) {
                    ThreadsafeHandle handle = loop.call_soon_threadsafe([alive] {});
                    if (++accepted % 3 == 0) handle.cancel();
                }
            } catch (const std::logic_error&) {
            }
        };
        std::thread a(post);
        std::thread b(post);
        start.arrive_and_wait();
        if (round % 2 == 0) {
            loop.call_later(100us, [&] { loop.stop(); });
            loop.run_forever();
        }
        loop.close();
        a.join();
        b.join();
        EXPECT_EQ(alive.use_count(), 1);
    }
}

TEST(Inbox, handles_are_cancelled_while_the_loop_runs_and_closes) {
    std::atomic<int> ran{0};
    std::atomic<int> cancelled{0};
    int posted = 0;
    {
        EventLoop loop;
        std::atomic<bool> stop = false;
        std::thread other([&] {
            std::mt19937 random(1);
            std::vector<ThreadsafeHandle> handles;
            for (int i = 0; i < 20'000; ++i, ++posted) {
                handles.push_back(loop.call_soon_threadsafe([&] { ++ran; }));
                ThreadsafeHandle& handle = handles[random() % handles.size()];
                const bool before = handle.cancelled();
                handle.cancel();
                if (!before && handle.cancelled()) ++cancelled;
            }
            stop = true;
            loop.call_soon_threadsafe([&] { loop.stop(); });
        });
        loop.run_forever();
        other.join();
        loop.close();
    }
    EXPECT_EQ(ran + cancelled, posted);
}

TEST(Inbox, LOOP_43_a_handle_outlives_its_loop_and_means_no_post_of_another) {
    auto first = std::make_unique<EventLoop>();
    ThreadsafeHandle of_first = first->call_soon_threadsafe([] { FAIL(); });
    first->close();
    first.reset();
    EventLoop second;
    bool ran = false;
    second.call_soon_threadsafe([&] {
        ran = true;
        second.stop();
    });
    of_first.cancel();
    EXPECT_FALSE(of_first.cancelled());  // close() dropped it
    second.run_forever();
    EXPECT_TRUE(ran);
    second.close();
}

TEST_F(InboxTest, what_a_post_holds_is_let_go_when_it_has_run_or_was_cancelled) {
    const auto held = std::make_shared<int>(0);
    ContextVar<std::shared_ptr<int>> variable;
    const auto post = [&] {
        Context context;
        context.run([&] { variable.set(held); });
        return loop.call_soon_threadsafe(context, [held] {});
    };
    std::thread([&] {
        post();
        post().cancel();
        post();
    }).join();
    EXPECT_GT(held.use_count(), 4);
    iterate();
    EXPECT_EQ(held.use_count(), 1);  // though no other batch came
}

TEST(Inbox, LOOP_41_a_million_posts_from_two_threads_are_all_acknowledged) {
    // Catalogue C1: a lost wake-up shows as a thread that waits for its acknowledgement for ever.
    constexpr int kPosts = 500'000;
    constexpr int kWindow = 256;
    EventLoop loop;
    std::int64_t sum = 0;  // the loop's
    int finished = 0;
    const auto poster = [&](int sign) {
        std::atomic<int> acknowledged{0};
        for (int i = 1; i <= kPosts; ++i) {
            loop.call_soon_threadsafe([&, i] {
                sum += sign * i;
                acknowledged.store(i, std::memory_order_release);
                acknowledged.notify_one();
            });
            // Now and then nothing is outstanding, so that the loop sleeps.
            const int allowed = i % 1000 == 0 ? 0 : kWindow;
            for (int seen = acknowledged.load(); i - seen > allowed; seen = acknowledged.load())
                acknowledged.wait(seen);
        }
        while (acknowledged.load() != kPosts) acknowledged.wait(acknowledged.load());
        // `acknowledged` may be named by a callback that is still notifying.
        std::latch done(1);
        loop.call_soon_threadsafe([&] {
            if (++finished == 2) loop.stop();
            done.count_down();
        });
        done.wait();
    };
    std::thread a(poster, 1);
    std::thread b(poster, -1);
    loop.run_forever();
    a.join();
    b.join();
    EXPECT_EQ(sum, 0);
    loop.close();
}

}  // namespace
}  // namespace asyncio
