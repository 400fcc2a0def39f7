// SPDX-License-Identifier: MIT
#include <asyncio/sync/event.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>

#include <memory>
#include <optional>

namespace asyncio {
namespace {

using namespace sync_tests;

Coro<> wait_and_note(Event& event, Events& events, std::string name) {
    co_await event.wait();
    events.push_back(name);
}

TEST(Event, EVT_01_EVT_07_waiting_for_a_set_one_returns_true_without_suspending) {
    testing::run([]() -> Coro<> {
        Event event;
        event.set();
        EXPECT_TRUE(event.is_set());
        Iterations iterations;
        const bool result = co_await event.wait();
        EXPECT_TRUE(result);
        EXPECT_EQ(iterations.count(), 0);
        event.clear();
        EXPECT_FALSE(event.is_set());
        const Task<bool> waiter = create_task(event.wait());
        co_await turns(1);
        event.set();
        const bool later = co_await waiter;
        EXPECT_TRUE(later);
    });
}

TEST(Event, EVT_02_EVT_03_set_wakes_all_in_order_and_newcomers_go_ahead) {
    testing::run([]() -> Coro<> {
        Event event;
        Events events;
        const auto tasks = start_all({"a", "b", "c"}, [&](auto name) {
            return create_task(wait_and_note(event, events, name));
        });
        co_await turns(1);
        EXPECT_EQ(event.description(), "<Event unset, waiters: 3>");
        event.set();
        co_await wait_and_note(event, events, "newcomer");
        co_await turns(1);
        EXPECT_EQ(events, (Events{"newcomer", "a", "b", "c"}));
        EXPECT_EQ(event.description(), "<Event set>");
    });
}

TEST(Event, EVT_04_clear_does_not_take_back_a_wakeup) {
    testing::run([]() -> Coro<> {
        Event event;
        Events events;
        const Task<> first = create_task(wait_and_note(event, events, "first"));
        co_await turns(1);
        event.set();
        event.clear();
        const Task<> second = create_task(wait_and_note(event, events, "second"));
        co_await turns(3);
        EXPECT_EQ(events, (Events{"first"}));
        EXPECT_FALSE(second.done());
        event.set();
        co_await second;
        EXPECT_TRUE(first.done());
    });
}

TEST(Event, EVT_05_setting_a_set_one_does_nothing) {
    testing::run([]() -> Coro<> {
        Event event;
        event.set();
        event.set();
        EXPECT_TRUE(event.is_set());
        event.clear();
        const auto outcome = co_await as_outcome(wait_for(event.wait(), 1s));
        EXPECT_FALSE(outcome);
    });
}

TEST(Event, EVT_06_a_cancelled_waiter_is_gone) {
    testing::run([]() -> Coro<> {
        Event event;
        Events events;
        auto tasks = start_all(
            {"a", "b"}, [&](auto name) { return create_task(wait_and_note(event, events, name)); });
        co_await turns(1);
        tasks[0].cancel("enough");
        EXPECT_EQ(event.description(), "<Event unset, waiters: 1>");
        const auto end = co_await as_outcome(tasks[0]);
        EXPECT_TRUE(end.cancelled());
        event.set();
        tasks[1].cancel();  // on its way: cancelled all the same, as in asyncio
        const auto second = co_await as_outcome(tasks[1]);
        EXPECT_TRUE(second.cancelled());
        EXPECT_TRUE(events.empty());
    });
}

TEST(Event, may_die_as_soon_as_it_is_set) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        std::optional<Event> event(std::in_place);
        Events events;
        const Task<> waiter = create_task(wait_and_note(*event, events, "released"));
        co_await turns(1);
        event->set();
        event.reset();
        co_await waiter;
        EXPECT_EQ(events, (Events{"released"}));
        EXPECT_TRUE(errors.reports().empty());
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Event, destroying_one_with_waiters_is_reported_and_fails_them) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        std::optional<Event> event(std::in_place);
        const Task<bool> waiter = create_task(event->wait(), {.name = "left behind"});
        co_await turns(1);
        event.reset();
        EXPECT_EQ(errors.messages(),
                  (Events{"Event was destroyed while tasks were waiting for it"}));
        EXPECT_EQ(errors.reports()[0].task, "left behind");
        const auto end = co_await as_outcome(waiter);
        EXPECT_EQ(error_of(end),
                  "std::logic_error: Event was destroyed while this task was waiting for it");
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Event, waiting_on_a_second_loop_is_an_error) {
    Event event;
    const auto wait = [&]() -> Coro<> { co_await event.wait(); };
    const std::string error = on_two_loops(wait, wait);
    EXPECT_NE(error.find("Event.wait(): bound to a different event loop"), std::string::npos)
        << error;
}

}  // namespace
}  // namespace asyncio
