// SPDX-License-Identifier: MIT
#include <asyncio/sync/semaphore.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>

#include <memory>

namespace asyncio {
namespace {

using namespace sync_tests;

TEST(Semaphore, SEM_01_acquires_without_suspending_while_there_are_permits) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(2);
        Iterations iterations;
        const bool first = co_await semaphore.acquire();
        EXPECT_FALSE(semaphore.locked());
        const bool second = co_await semaphore.acquire();
        EXPECT_TRUE(first && second);
        EXPECT_EQ(iterations.count(), 0);
        EXPECT_TRUE(semaphore.locked());
    });
}

TEST(Semaphore, SEM_02_the_initial_value_is_not_negative) {
    EXPECT_THROW(Semaphore(-1), std::invalid_argument);
    EXPECT_THROW(BoundedSemaphore(-1), std::invalid_argument);
    EXPECT_TRUE(Semaphore(0).locked());
    EXPECT_FALSE(Semaphore().locked());
}

TEST(Semaphore, SEM_03_locked_without_permits_or_with_somebody_queued) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(0);
        EXPECT_TRUE(semaphore.locked());
        const Task<bool> waiter = create_task(semaphore.acquire());
        co_await turns(1);
        semaphore.release();
        semaphore.release();  // one more than there are waiters
        EXPECT_TRUE(semaphore.locked());
        EXPECT_EQ(semaphore.description(), "<Semaphore locked, value: 1, waiters: 1>");
        co_await waiter;
        EXPECT_FALSE(semaphore.locked());
    });
}

TEST(Semaphore, SEM_04_SEM_05_a_released_permit_belongs_to_the_first_waiter) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(1);
        Events events;
        co_await semaphore.acquire();
        const auto tasks = start_all({"a", "b"}, [&](auto name) {
            return create_task(take_and_release(semaphore, events, name));
        });
        co_await turns(1);
        semaphore.release();
        EXPECT_TRUE(semaphore.locked());
        EXPECT_EQ(semaphore.description(), "<Semaphore locked, value: 0, waiters: 2>");
        co_await take(semaphore, events, "newcomer");
        EXPECT_EQ(events, (Events{"a", "b", "newcomer"}));
    });
}

TEST(Semaphore, SEM_06_several_releases_wake_as_many) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(0);
        Events events;
        const auto tasks = start_all({"a", "b", "c", "d"}, [&](auto name) {
            return create_task(take(semaphore, events, name));
        });
        co_await turns(1);
        for (int i = 0; i < 3; ++i) semaphore.release();
        co_await turns(1);
        EXPECT_EQ(events, (Events{"a", "b", "c"}));
        semaphore.release();
        co_await turns(1);
        EXPECT_EQ(events, (Events{"a", "b", "c", "d"}));
    });
}

TEST(Semaphore, SEM_07_may_be_released_beyond_its_initial_value) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(1);
        semaphore.release();
        co_await semaphore.acquire();
        EXPECT_FALSE(semaphore.locked());
        co_await semaphore.acquire();
        EXPECT_TRUE(semaphore.locked());
    });
}

TEST(Semaphore, SEM_08_a_bounded_one_refuses_that) {
    testing::run([]() -> Coro<> {
        BoundedSemaphore semaphore(1);
        EXPECT_THROW(semaphore.release(), std::invalid_argument);
        co_await semaphore.acquire();
        semaphore.release();
        EXPECT_THROW(semaphore.release(), std::invalid_argument);
        Semaphore& base = semaphore;
        EXPECT_THROW(base.release(), std::invalid_argument);
    });
}

TEST(Semaphore, SEM_09_a_cancelled_waiter_takes_no_permit) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(0);
        Events events;
        auto tasks = start_all(
            {"a", "b"}, [&](auto name) { return create_task(take(semaphore, events, name)); });
        co_await turns(1);
        tasks[0].cancel();
        semaphore.release();
        co_await turns(2);
        EXPECT_EQ(events, (Events{"b"}));
        semaphore.release();
        EXPECT_FALSE(semaphore.locked());
    });
}

TEST(Semaphore, SEM_10_SEM_11_one_cancelled_after_being_granted_hands_the_permit_back) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(0);
        Events events;
        auto tasks = start_all(
            {"a", "b", "c"}, [&](auto name) { return create_task(take(semaphore, events, name)); });
        co_await turns(1);
        semaphore.release();
        semaphore.release();
        tasks[0].cancel();
        tasks[1].cancel();
        co_await turns(3);
        EXPECT_EQ(events, (Events{"c"}));
        EXPECT_FALSE(semaphore.locked());
        EXPECT_EQ(semaphore.description(), "<Semaphore unlocked, value: 1>");
    });
}

TEST(Semaphore, SEM_12_who_releases_and_acquires_again_queues_behind_the_others) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(1);
        Events events;
        co_await semaphore.acquire();
        const Task<> other = create_task(take_and_release(semaphore, events, "other"));
        co_await turns(1);
        semaphore.release();
        co_await take(semaphore, events, "again");
        EXPECT_EQ(events, (Events{"other", "again"}));
    });
}

TEST(Semaphore, SEM_13_permits_released_meanwhile_serve_the_next_in_order) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(0);
        Events events;
        auto first = create_task(take(semaphore, events, "first"));
        co_await turns(1);
        semaphore.release();  // first is on its way
        semaphore.release();  // nobody waits for this one yet
        const auto tasks = start_all({"second", "third"}, [&](auto name) {
            return create_task(take(semaphore, events, name));
        });
        co_await turns(3);
        EXPECT_EQ(events, (Events{"first", "second"}));
        semaphore.release();
        co_await turns(1);
        EXPECT_EQ(events, (Events{"first", "second", "third"}));
    });
}

TEST(Semaphore, SEM_13_newcomers_queue_behind_one_on_its_way_and_are_served_by_it) {
    testing::run([]() -> Coro<> {
        Semaphore semaphore(0);
        Events events;
        (void)create_task(take(semaphore, events, "first"));
        co_await turns(1);
        semaphore.release();
        semaphore.release();
        co_await take(semaphore, events, "newcomer");
        EXPECT_EQ(events, (Events{"first", "newcomer"}));
        EXPECT_EQ(semaphore.description(), "<Semaphore locked, value: 0>");
    });
}

TEST(Semaphore, SEM_14_scoped_releases_on_every_exit) {
    testing::run([]() -> Coro<> {
        BoundedSemaphore semaphore(2);
        {
            const auto a = co_await semaphore.scoped();
            const auto b = co_await semaphore.scoped();
            EXPECT_TRUE(semaphore.locked());
        }
        EXPECT_EQ(semaphore.description(), "<Semaphore unlocked, value: 2>");
        const auto fail = [&]() -> Coro<> {
            const auto held = co_await semaphore.scoped();
            throw std::runtime_error("inside");
        };
        const auto failed = co_await as_outcome(fail());
        EXPECT_FALSE(failed);
        co_await semaphore.aenter();
        EXPECT_EQ(semaphore.description(), "<Semaphore unlocked, value: 1>");
        const bool swallow = co_await semaphore.aexit(nullptr);
        EXPECT_FALSE(swallow);
        EXPECT_EQ(semaphore.description(), "<Semaphore unlocked, value: 2>");
    });
}

TEST(Semaphore, SEM_14_a_permit_released_by_hand_before_is_logged) {
    testing::LogLines lines;
    testing::run([]() -> Coro<> {
        BoundedSemaphore semaphore(1);
        {
            const auto held = co_await semaphore.scoped();
            semaphore.release();
        }
        EXPECT_FALSE(semaphore.locked());
    });
    EXPECT_TRUE(lines.contains("released too many times"));
}

TEST(Semaphore, one_that_dies_after_a_waiter_was_cancelled_is_not_touched) {
    testing::run([]() -> Coro<> {
        auto semaphore = std::make_unique<Semaphore>(0);
        const Task<bool> waiter = create_task(semaphore->acquire());
        co_await turns(1);
        waiter.cancel();
        semaphore.reset();
        const auto end = co_await as_outcome(waiter);
        EXPECT_TRUE(end.cancelled());
    });
}

TEST(Semaphore, destroying_one_with_waiters_is_reported_and_fails_them) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        auto semaphore = std::make_unique<Semaphore>(0);
        const Task<bool> granted = create_task(semaphore->acquire(), {.name = "granted"});
        const Task<bool> waiting = create_task(semaphore->acquire(), {.name = "waiting"});
        co_await turns(1);
        semaphore->release();
        semaphore.reset();
        EXPECT_EQ(errors.reports().at(0).task, "granted, waiting");
        const auto a = co_await as_outcome(granted);
        const auto b = co_await as_outcome(waiting);
        EXPECT_FALSE(a || b);
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Semaphore, waiting_on_a_second_loop_is_an_error) {
    Semaphore semaphore(0);
    const auto wait = [&]() -> Coro<> { co_await semaphore.acquire(); };
    const std::string error = on_two_loops(wait, wait);
    EXPECT_NE(error.find("Semaphore.acquire(): bound to a different"), std::string::npos) << error;
}

}  // namespace
}  // namespace asyncio
