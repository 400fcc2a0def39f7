// SPDX-License-Identifier: MIT
#include <asyncio/sync/condition.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>

#include <memory>
#include <optional>

namespace asyncio {
namespace {

using namespace sync_tests;

/// Waits under the lock; notes when it is notified and what it leaves with.
Coro<> wait_and_note(Condition& cond, Events& events, std::string name) {
    const auto held = co_await cond.scoped();
    try {
        co_await cond.wait();
        events.push_back(name);
    } catch (const CancelledError& e) {
        events.push_back(name + " cancelled: " + e.message() +
                         (cond.locked() ? "" : ", without the lock"));
        throw;
    }
}

/// The same for a condition that dies meanwhile.
Coro<> only_wait(Condition& cond) {
    const auto held = co_await cond.scoped();
    co_await cond.wait();
}

std::vector<Task<>> start_waiters(Condition& cond, Events& events,
                                  const std::vector<std::string>& names) {
    return start_all(names,
                     [&](auto name) { return create_task(wait_and_note(cond, events, name)); });
}

Coro<> notify(Condition& cond, std::size_t n = 1) {
    const auto held = co_await cond.scoped();
    cond.notify(n);
}

TEST(Condition, COND_01_waiting_and_notifying_need_the_lock) {
    testing::run([]() -> Coro<> {
        Condition cond;
        const auto wait = co_await as_outcome(cond.wait());
        EXPECT_EQ(error_of(wait), "std::logic_error: cannot wait on un-acquired lock");
        EXPECT_THROW(cond.notify(), std::logic_error);
        EXPECT_THROW(cond.notify_all(), std::logic_error);
        EXPECT_THROW(cond.release(), std::logic_error);
    });
}

TEST(Condition, COND_02_wait_releases_the_lock_and_holds_it_again) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Condition cond(lock);
        const Task<> waiter = create_task([&]() -> Coro<> {
            co_await lock.acquire();
            const bool result = co_await cond.wait();
            EXPECT_TRUE(result);
            EXPECT_TRUE(lock.locked());
            co_await turns(2);
            lock.release();
        });
        co_await turns(1);
        EXPECT_FALSE(lock.locked());
        co_await notify(cond);
        co_await turns(1);
        EXPECT_TRUE(lock.locked());
        co_await waiter;
        EXPECT_FALSE(lock.locked());
    });
}

TEST(Condition, COND_03_COND_04_notify_wakes_that_many_in_their_order) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        const auto tasks = start_waiters(cond, events, {"a", "b", "c", "d", "e", "f"});
        co_await turns(1);
        EXPECT_EQ(cond.description(), "<Condition unlocked, waiters: 6>");
        co_await notify(cond);
        co_await turns(4);
        EXPECT_EQ(events, (Events{"a"}));
        co_await notify(cond, 2);
        co_await turns(4);
        EXPECT_EQ(events, (Events{"a", "b", "c"}));
        {
            const auto held = co_await cond.scoped();
            cond.notify_all();
        }
        co_await turns(4);
        EXPECT_EQ(events, (Events{"a", "b", "c", "d", "e", "f"}));
        co_await notify(cond, 2);  // fewer waiters than that is fine
        EXPECT_EQ(cond.description(), "<Condition unlocked>");
    });
}

TEST(Condition, COND_05_the_notified_run_after_the_release_one_at_a_time) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        const auto wait = [&](std::string name) -> Coro<> {
            const auto held = co_await cond.scoped();
            co_await cond.wait();
            events.push_back(name + " in");
            co_await turns(2);
            events.push_back(name + " out");
        };
        std::vector<Task<>> tasks;
        for (const char* name : {"a", "b"}) tasks.push_back(create_task(wait(name)));
        co_await turns(1);
        co_await cond.acquire();
        cond.notify_all();
        co_await turns(3);
        EXPECT_TRUE(events.empty());
        cond.release();
        for (const auto& task : tasks) co_await task;
        EXPECT_EQ(events, (Events{"a in", "a out", "b in", "b out"}));
    });
}

TEST(Condition, COND_06_a_notification_without_waiters_is_lost) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        co_await notify(cond);
        const auto tasks = start_waiters(cond, events, {"a"});
        co_await turns(4);
        EXPECT_TRUE(events.empty());
        co_await notify(cond);
        co_await tasks[0];
        EXPECT_EQ(events, (Events{"a"}));
    });
}

TEST(Condition, COND_07_wait_for_checks_its_predicate_after_each_wakeup) {
    testing::run([]() -> Coro<> {
        Condition cond;
        int value = 0;
        int checks = 0;
        const Task<int> waiter = create_task([&]() -> Coro<int> {
            const auto held = co_await cond.scoped();
            const int result = co_await cond.wait_for([&] {
                ++checks;
                return value >= 2 ? value * 10 : 0;
            });
            EXPECT_TRUE(cond.locked());
            co_return result;
        });
        co_await turns(1);
        for (value = 1; value < 3; ++value) {
            co_await notify(cond);
            co_await turns(2);
        }
        const int result = co_await waiter;
        EXPECT_EQ(result, 20);
        EXPECT_EQ(checks, 3);
        const bool at_once = co_await cond.wait_for([] { return true; });  // without the lock
        EXPECT_TRUE(at_once);
    });
}

TEST(Condition, COND_08_COND_10_a_cancelled_wait_holds_the_lock_again_before_it_throws) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        auto tasks = start_waiters(cond, events, {"a"});
        co_await turns(1);
        co_await cond.acquire();
        tasks[0].cancel("the reason");
        co_await turns(5);
        EXPECT_TRUE(events.empty());
        EXPECT_FALSE(tasks[0].done());
        cond.release();
        const auto end = co_await as_outcome(tasks[0]);
        EXPECT_TRUE(end.cancelled());
        EXPECT_EQ(events, (Events{"a cancelled: the reason"}));
        EXPECT_FALSE(cond.locked());
    });
}

TEST(Condition, COND_09_further_cancellations_are_absorbed_and_the_last_is_thrown) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        auto tasks = start_waiters(cond, events, {"a"});
        co_await turns(1);
        co_await cond.acquire();
        for (const char* reason : {"first", "second", "third"}) {
            tasks[0].cancel(reason);
            co_await turns(2);
        }
        tasks[0].cancel("fourth");
        tasks[0].cancel("last");
        cond.release();
        co_await turns(2);
        EXPECT_EQ(events, (Events{"a cancelled: last"}));
        EXPECT_TRUE(tasks[0].cancelled());
    });
}

TEST(Condition, COND_09_one_cancelled_as_the_lock_comes_to_it_keeps_the_lock_until_it_throws) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        auto tasks = start_waiters(cond, events, {"a"});
        co_await turns(1);
        co_await cond.acquire();
        cond.notify();
        co_await turns(2);  // it queues at the lock
        cond.release();     // and is on its way
        tasks[0].cancel("late");
        co_await turns(2);
        EXPECT_EQ(events, (Events{"a cancelled: late"}));
        EXPECT_FALSE(cond.locked());
    });
}

TEST(Condition, COND_11_one_cancelled_after_being_notified_notifies_another) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        auto tasks = start_waiters(cond, events, {"a", "b"});
        co_await turns(1);
        co_await notify(cond);
        tasks[0].cancel("no");
        co_await turns(4);
        EXPECT_EQ(events, (Events{"a cancelled: no", "b"}));
    });
}

TEST(Condition, COND_12_also_if_the_cancellation_hits_while_it_queues_at_the_lock) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        auto tasks = start_waiters(cond, events, {"a", "b"});
        co_await turns(1);
        co_await cond.acquire();
        cond.notify();
        co_await turns(3);
        tasks[0].cancel("no");
        co_await turns(3);
        EXPECT_TRUE(events.empty());
        cond.release();
        co_await turns(4);
        EXPECT_EQ(events, (Events{"a cancelled: no", "b"}));
    });
}

TEST(Condition, COND_13_a_wakeup_may_be_spurious) {
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        auto tasks = start_waiters(cond, events, {"a", "b", "c"});
        co_await turns(1);
        tasks[0].cancel("no");  // it cannot know whether it was notified
        co_await turns(4);
        EXPECT_EQ(events, (Events{"a cancelled: no", "b"}));
        EXPECT_FALSE(tasks[2].done());
        co_await notify(cond);
        co_await tasks[2];
    });
}

TEST(Condition, COND_14_several_may_share_a_lock) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Condition not_empty(lock);
        Condition not_full(lock);
        Events events;
        const auto first = start_waiters(not_empty, events, {"not_empty"});
        const auto second = start_waiters(not_full, events, {"not_full"});
        co_await turns(1);
        co_await lock.acquire();
        EXPECT_TRUE(not_empty.locked() && not_full.locked());
        not_full.notify_all();
        lock.release();
        EXPECT_FALSE(not_empty.locked() || not_full.locked());
        co_await turns(3);
        EXPECT_EQ(events, (Events{"not_full"}));
        co_await notify(not_empty);
        co_await first[0];
    });
}

TEST(Condition, COND_15_scoped_holds_the_lock) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Condition cond(lock);
        {
            const auto held = co_await cond.scoped();
            EXPECT_TRUE(lock.locked());
        }
        EXPECT_FALSE(lock.locked());
        co_await cond.aenter();
        EXPECT_TRUE(lock.locked());
        const bool swallow = co_await cond.aexit(nullptr);
        EXPECT_FALSE(swallow);
        EXPECT_FALSE(lock.locked());
    });
}

TEST(Condition, COND_16_a_lock_of_another_loop_is_an_error_when_waiting) {
    Lock lock;
    Condition cond(lock);
    const auto wait = [&]() -> Coro<> {
        const auto held = co_await cond.scoped();
        co_await cond.wait();
    };
    const std::string error = on_two_loops(wait, wait);
    EXPECT_NE(error.find("Condition.wait(): bound to a different event loop"), std::string::npos)
        << error;
    EXPECT_FALSE(lock.locked());
    Condition fresh(lock);  // not bound, but its lock is
    const auto wait_fresh = [&]() -> Coro<> {
        const auto held = co_await fresh.scoped();
        co_await fresh.wait();
    };
    auto loop = testing::make_virtual_loop();
    const auto end = loop->run_until_complete(as_outcome(wait_fresh()));
    loop->close();
    EXPECT_NE(error_of(end).find("bound to a different event loop"), std::string::npos);
    EXPECT_FALSE(lock.locked());
}

TEST(Condition, WFOR_16_a_wait_that_times_out_leaves_the_lock_held) {
    testing::run([]() -> Coro<> {
        Condition cond;
        {
            const auto held = co_await cond.scoped();
            const auto end = co_await as_outcome(wait_for(cond.wait(), 1s));
            EXPECT_EQ(error_of(end).substr(0, 21), "asyncio::TimeoutError");
            EXPECT_TRUE(cond.locked());
        }
        EXPECT_FALSE(cond.locked());
        EXPECT_EQ(cond.description(), "<Condition unlocked>");
    });
}

TEST(Condition, a_task_that_gets_the_lock_after_the_notifier_goes_before_the_notified) {
    // As in asyncio: the notified queue at the lock in their own turn, not at the notification.
    testing::run([]() -> Coro<> {
        Condition cond;
        Events events;
        const auto tasks = start_waiters(cond, events, {"notified"});
        co_await turns(1);
        co_await cond.acquire();
        const Task<> other = create_task([&]() -> Coro<> {
            const auto held = co_await cond.scoped();
            events.push_back("other");
        });
        co_await turns(1);
        cond.notify();
        cond.release();
        co_await turns(4);
        EXPECT_EQ(events, (Events{"other", "notified"}));
    });
}

// --- the end of the condition, or of the loop -------------------------------------------------

TEST(Condition, destroying_one_with_waiters_is_reported_and_fails_them) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        Lock lock;
        std::optional<Condition> cond(lock);
        const auto wait = [&]() -> Coro<> {
            const auto held = co_await lock.scoped();
            co_await cond->wait();
        };
        const Task<> queued = create_task(wait(), {.name = "queued at the lock"});
        const Task<> notified = create_task(wait(), {.name = "notified"});
        const Task<> waiting = create_task(wait(), {.name = "waiting"});
        co_await turns(1);
        co_await lock.acquire();
        cond->notify();
        co_await turns(2);
        cond->notify();
        cond.reset();
        EXPECT_EQ(errors.messages(),
                  (Events{"Condition was destroyed while tasks were waiting for it"}));
        EXPECT_EQ(errors.reports()[0].task, "notified, waiting");
        lock.release();
        co_await queued;
        for (const Task<>* task : {&notified, &waiting}) {
            const auto end = co_await as_outcome(*task);
            EXPECT_EQ(error_of(end).substr(0, 40), "std::logic_error: Condition was destroye");
        }
        EXPECT_FALSE(lock.locked());  // they held it again, and let go
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Condition, destroying_one_with_a_lock_of_its_own_leaves_nobody_behind) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        auto cond = std::make_unique<Condition>();
        std::vector<Task<>> tasks;
        for (int i = 0; i < 4; ++i) tasks.push_back(create_task(only_wait(*cond)));
        co_await turns(1);
        co_await cond->acquire();
        cond->notify();
        co_await turns(2);      // a queues at the lock
        tasks[1].cancel("no");  // b is cancelled and has its turn
        cond->notify();         // c is notified and has its turn; d waits
        cond.reset();
        EXPECT_EQ(errors.reports().size(), 2u);
        co_await turns(3);
        for (auto& task : tasks) EXPECT_TRUE(task.done());
        EXPECT_TRUE(tasks[1].cancelled());
        for (const std::size_t i : {0u, 2u, 3u})
            EXPECT_THROW(std::rethrow_exception(tasks[i].exception()), std::logic_error);
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Condition, closing_the_loop_in_every_state) {
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    Lock lock;
    auto cond = std::make_unique<Condition>(lock);
    Events events;
    std::vector<Task<>> tasks;
    loop->run_until_complete([&]() -> Coro<> {
        tasks = start_waiters(*cond, events, {"a", "b", "c", "d", "e"});
        co_await turns(1);
        co_await lock.acquire();
        cond->notify(2);
        co_await turns(2);
    });
    lock.release();     // a has the lock coming, b queues at it
    tasks[2].cancel();  // c has its turn
    EXPECT_THROW(cond->notify(), std::logic_error);
    loop->close();
    EXPECT_EQ(errors.reports().size(), 5u);
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(lock.description(), "<Lock unlocked>");
    EXPECT_EQ(cond->description(), "<Condition unlocked>");
}

}  // namespace
}  // namespace asyncio
