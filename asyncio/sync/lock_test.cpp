// SPDX-License-Identifier: MIT
#include <asyncio/sync/lock.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>

#include <memory>
#include <optional>

namespace asyncio {
namespace {

using namespace sync_tests;

TEST(Lock, LOCK_01_a_free_one_is_acquired_without_suspending) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Iterations iterations;
        const bool got = co_await lock.acquire();
        EXPECT_TRUE(got);
        EXPECT_EQ(iterations.count(), 0);
        lock.release();
        co_await turns(1);
        EXPECT_EQ(iterations.count(), 1);
    });
}

TEST(Lock, LOCK_02_locked_tells_the_state) {
    testing::run([]() -> Coro<> {
        Lock lock;
        EXPECT_FALSE(lock.locked());
        EXPECT_EQ(lock.description(), "<Lock unlocked>");
        co_await lock.acquire();
        EXPECT_TRUE(lock.locked());
        const Task<bool> waiter = create_task(lock.acquire());
        co_await turns(1);
        EXPECT_EQ(lock.description(), "<Lock locked, waiters: 1>");
        lock.release();
        EXPECT_FALSE(lock.locked());  // until the waiter runs
        const bool got = co_await waiter;
        EXPECT_TRUE(got);
        EXPECT_TRUE(lock.locked());
    });
}

TEST(Lock, LOCK_03_LOCK_05_release_wakes_one_waiter_the_first) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Events events;
        co_await lock.acquire();
        const auto tasks = start_all(
            {"a", "b", "c"}, [&](auto name) { return create_task(take(lock, events, name)); });
        co_await turns(1);
        lock.release();
        co_await turns(3);
        EXPECT_EQ(events, (Events{"a"}));
        lock.release();
        co_await turns(3);
        EXPECT_EQ(events, (Events{"a", "b"}));
        lock.release();
        co_await turns(3);
        EXPECT_EQ(events, (Events{"a", "b", "c"}));
    });
}

TEST(Lock, LOCK_04_releasing_a_free_one_is_an_error) {
    Lock lock;
    EXPECT_THROW(lock.release(), std::logic_error);
}

TEST(Lock, LOCK_06_newcomers_do_not_overtake_a_waiter_on_its_way) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Events events;
        co_await lock.acquire();
        const Task<> waiter = create_task(take_and_release(lock, events, "waiter"));
        co_await turns(1);
        lock.release();
        EXPECT_FALSE(lock.locked());
        co_await take(lock, events, "newcomer");
        EXPECT_EQ(events, (Events{"waiter", "newcomer"}));
    });
}

TEST(Lock, LOCK_07_a_waiter_cancelled_on_its_way_passes_the_lock_on) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Events events;
        co_await lock.acquire();
        auto tasks =
            start_all({"a", "b"}, [&](auto name) { return create_task(take(lock, events, name)); });
        co_await turns(1);
        lock.release();
        tasks[0].cancel();
        co_await turns(3);
        EXPECT_TRUE(tasks[0].cancelled());
        EXPECT_EQ(events, (Events{"b"}));
        EXPECT_TRUE(lock.locked());
    });
}

TEST(Lock, LOCK_07_a_revoked_cancellation_lets_the_waiter_have_it) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Events events;
        co_await lock.acquire();
        const Task<> waiter = create_task(take(lock, events, "a"));
        co_await turns(1);
        lock.release();
        waiter.cancel();
        waiter.uncancel();
        co_await waiter;
        EXPECT_EQ(events, (Events{"a"}));
        EXPECT_TRUE(lock.locked());
    });
}

TEST(Lock, LOCK_08_cancelling_the_first_during_a_release_leaves_it_usable) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Events events;
        co_await lock.acquire();
        auto tasks =
            start_all({"a", "b"}, [&](auto name) { return create_task(take(lock, events, name)); });
        co_await turns(1);
        tasks[0].cancel();
        lock.release();
        co_await turns(3);
        EXPECT_EQ(events, (Events{"b"}));
        lock.release();
        EXPECT_FALSE(lock.locked());
        co_await take(lock, events, "again");
        EXPECT_EQ(events, (Events{"b", "again"}));
    });
}

TEST(Lock, LOCK_09_a_cancelled_waiter_leaves_nothing_behind) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Events events;
        co_await lock.acquire();
        auto tasks = start_all({"a", "b", "c"},
                               [&](auto name) { return create_task(take(lock, events, name)); });
        co_await turns(1);
        EXPECT_EQ(lock.description(), "<Lock locked, waiters: 3>");
        tasks[1].cancel();
        EXPECT_EQ(lock.description(), "<Lock locked, waiters: 2>");
        tasks[0].cancel();
        tasks[2].cancel();
        co_await turns(2);
        EXPECT_EQ(lock.description(), "<Lock locked>");
    });
}

TEST(Lock, LOCK_10_when_all_waiters_are_cancelled_a_newcomer_gets_it_at_once) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Events events;
        co_await lock.acquire();
        auto tasks =
            start_all({"a", "b"}, [&](auto name) { return create_task(take(lock, events, name)); });
        co_await turns(1);
        for (auto& task : tasks) task.cancel();
        lock.release();
        Iterations iterations;
        co_await lock.acquire();
        EXPECT_EQ(iterations.count(), 0);
        EXPECT_TRUE(events.empty());
    });
}

TEST(Lock, LOCK_11_scoped_releases_on_every_exit) {
    testing::run([]() -> Coro<> {
        Lock lock;
        {
            const auto held = co_await lock.scoped();
            EXPECT_TRUE(lock.locked());
            EXPECT_TRUE(held);
        }
        EXPECT_FALSE(lock.locked());
        const auto fail = [&]() -> Coro<> {
            const auto held = co_await lock.scoped();
            throw std::runtime_error("inside");
        };
        const auto failed = co_await as_outcome(fail());
        EXPECT_EQ(error_of(failed), "std::runtime_error: inside");
        EXPECT_FALSE(lock.locked());
        const Task<> task = create_task([&]() -> Coro<> {
            const auto held = co_await lock.scoped();
            co_await forever();
        });
        co_await turns(1);
        EXPECT_TRUE(lock.locked());
        task.cancel();
        co_await turns(2);
        EXPECT_FALSE(lock.locked());
        EXPECT_TRUE(task.cancelled());
    });
}

TEST(Lock, LOCK_11_scoped_moves_and_lets_go_early) {
    testing::run([]() -> Coro<> {
        Lock lock;
        Lock other;
        auto held = co_await lock.scoped();
        auto moved = std::move(held);
        EXPECT_FALSE(held);  // NOLINT: moved from on purpose
        EXPECT_TRUE(lock.locked());
        moved = co_await other.scoped();
        EXPECT_FALSE(lock.locked());
        EXPECT_TRUE(other.locked());
        moved.release();
        moved.release();
        EXPECT_FALSE(other.locked());
    });
}

TEST(Lock, LOCK_11_a_context_manager_enters_and_leaves) {
    testing::run([]() -> Coro<> {
        Lock lock;
        co_await lock.aenter();
        EXPECT_TRUE(lock.locked());
        const bool swallow =
            co_await lock.aexit(std::make_exception_ptr(std::runtime_error("not swallowed")));
        EXPECT_FALSE(swallow);
        EXPECT_FALSE(lock.locked());
    });
}

TEST(Lock, LOCK_12_any_task_may_release) {
    testing::run([]() -> Coro<> {
        Lock lock;
        co_await create_task(lock.acquire());
        EXPECT_TRUE(lock.locked());
        lock.release();
        EXPECT_FALSE(lock.locked());
    });
}

TEST(Lock, LOCK_13_acquiring_twice_in_one_task_waits_forever) {
    testing::run([]() -> Coro<> {
        Lock lock;
        co_await lock.acquire();
        const auto outcome = co_await as_outcome(wait_for(lock.acquire(), std::chrono::hours(1)));
        EXPECT_EQ(error_of(outcome).substr(0, 21), "asyncio::TimeoutError");
    });
}

TEST(Lock, LOCK_14_waiting_on_a_second_loop_is_an_error) {
    Lock lock;
    const auto acquire = [&]() -> Coro<> { co_await lock.acquire(); };
    {
        auto loop = testing::make_virtual_loop();
        loop->run_until_complete(acquire());
        loop->close();
    }
    const std::string error = on_two_loops(acquire, acquire);
    EXPECT_NE(error.find("Lock.acquire(): bound to a different event loop: to <EventLoop "),
              std::string::npos)
        << error;
    EXPECT_NE(error.find(", and the task is of <EventLoop "), std::string::npos) << error;
}

TEST(Lock, LOCK_15_one_that_never_waits_is_not_bound) {
    Lock lock;
    for (int i = 0; i < 2; ++i)
        testing::run([&]() -> Coro<> {
            const auto held = co_await lock.scoped();
            EXPECT_TRUE(lock.locked());
        });
    EXPECT_FALSE(lock.locked());
}

TEST(Lock, what_acquire_returns_goes_wherever_an_awaitable_does) {
    testing::run([]() -> Coro<> {
        Lock a;
        Lock b;
        const auto [x, y] = co_await gather(a.acquire(), b.acquire());
        EXPECT_TRUE(x && y);
        const auto timed = co_await as_outcome(wait_for(a.acquire(), 1s));
        EXPECT_FALSE(timed);
        a.release();
        const Outcome<bool> again = co_await as_outcome(a.acquire());
        EXPECT_TRUE(*again);
        EXPECT_TRUE(b.locked());
    });
}

// --- the end of the lock, or of the loop ----------------------------------------------------

TEST(Lock, destroying_one_with_waiters_is_reported_and_fails_them) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        auto lock = std::make_unique<Lock>();
        co_await lock->acquire();
        std::vector<Task<bool>> tasks;
        tasks.push_back(create_task(lock->acquire(), {.name = "first"}));
        tasks.push_back(create_task(lock->acquire(), {.name = "second"}));
        tasks.push_back(create_task(lock->acquire(), {.name = "third"}));
        co_await turns(1);
        tasks[2].cancel();
        lock->release();  // the first is on its way
        lock.reset();
        EXPECT_EQ(errors.messages(),
                  (Events{"Lock was destroyed while tasks were waiting for it"}));
        EXPECT_EQ(errors.reports()[0].task, "first, second");
        for (int i = 0; i < 2; ++i) {
            const auto end = co_await as_outcome(tasks[static_cast<std::size_t>(i)]);
            EXPECT_EQ(error_of(end),
                      "std::logic_error: Lock was destroyed while this task was waiting for it");
        }
        const auto end = co_await as_outcome(tasks[2]);
        EXPECT_TRUE(end.cancelled());
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Lock, closing_the_loop_destroys_holders_and_waiters_in_any_order) {
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    // The first task owns the lock and dies first; the others hold it, wait, and are on their way.
    loop->run_until_complete([]() -> Coro<> {
        (void)create_task([]() -> Coro<> {
            Lock lock;
            (void)create_task(
                [](Lock& l) -> Coro<> {
                    const auto held = co_await l.scoped();
                    co_await forever();
                },
                std::ref(lock));
            for (int i = 0; i < 3; ++i)
                (void)create_task(
                    [](Lock& l) -> Coro<> {
                        const auto held = co_await l.scoped();
                        co_await forever();
                    },
                    std::ref(lock));
            co_await forever();
        });
        co_await turns(3);
    });
    loop->close();
    EXPECT_EQ(errors.reports().size(), 5u);
    for (const std::string& message : errors.messages())
        EXPECT_EQ(message, "Task was destroyed but it is pending!");
}

TEST(Lock, closing_the_loop_under_a_waiter_on_its_way_passes_the_lock_on) {
    Lock lock;
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    Events events;
    loop->run_until_complete([&]() -> Coro<> {
        co_await lock.acquire();
        (void)create_task(take(lock, events, "a"));
        (void)create_task(take(lock, events, "b"));
        co_await turns(1);
    });
    lock.release();
    loop->close();
    EXPECT_EQ(errors.reports().size(), 2u);
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(lock.description(), "<Lock unlocked>");
}

}  // namespace
}  // namespace asyncio
