// SPDX-License-Identifier: MIT
#include <asyncio/task/async_exit_stack.hpp>
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/task_group.hpp>

#include <memory>
#include <string>

namespace asyncio {
namespace {

using namespace task_tests;

struct Resource {
    Events* events;
    std::string name;
    bool fail_on_entry = false;
    bool fail_on_exit = false;
    bool swallow = false;

    Resource(Events& e, std::string n) : events(&e), name(std::move(n)) {}
    Coro<std::unique_ptr<std::string>> aenter() {
        co_await sleep(1s);
        if (fail_on_entry) throw std::runtime_error(name);
        events->push_back("+" + name);
        co_return std::make_unique<std::string>(name);
    }
    Coro<bool> aexit(std::exception_ptr error) {
        events->push_back("-" + name + (error ? ": " + describe(error) : ""));
        co_await sleep(1s);
        if (fail_on_exit) throw std::runtime_error("exit of " + name);
        co_return swallow;
    }
};

TEST(AsyncExitStack, leaves_in_reverse_order) {
    testing::run([]() -> Coro<> {
        Events events;
        Resource b(events, "b");
        co_await with(AsyncExitStack(), [&](AsyncExitStack& stack) -> Coro<> {
            auto& a = co_await stack.enter_context(Resource(events, "a"));
            EXPECT_EQ(*a, "a");
            auto& entered = co_await stack.enter_context(b);
            EXPECT_EQ(*entered, "b");
            EXPECT_EQ(*a, "a");  // its address stays
            stack.push_async_callback([&events]() -> Coro<> {
                co_await sleep(1s);
                events.push_back("async callback");
            });
            stack.callback([&events] { events.push_back("callback"); });
            stack.push_async_exit(Resource(events, "c"));
            events.push_back("body");
        });
        EXPECT_EQ(events,
                  (Events{"+a", "+b", "body", "-c", "callback", "async callback", "-b", "-a"}));
    });
}

TEST(AsyncExitStack, a_manager_without_value_is_given_itself) {
    testing::run([]() -> Coro<> {
        Task<int> t;
        co_await with(AsyncExitStack(), [&](AsyncExitStack& stack) -> Coro<> {
            TaskGroup& tg = co_await stack.enter_context(TaskGroup());
            t = tg.create_task(later(3, 1s));
        });
        EXPECT_EQ(t.result(), 3);
    });
}

TEST(AsyncExitStack, exits_see_the_exception_in_flight) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto outcome =
            co_await as_outcome(with(AsyncExitStack(), [&](AsyncExitStack& stack) -> Coro<> {
                (void)co_await stack.enter_context(Resource(events, "a"));
                Resource swallows(events, "b");
                swallows.swallow = true;
                stack.push_async_exit(std::move(swallows));
                Resource throws(events, "c");
                throws.fail_on_exit = true;
                stack.push_async_exit(std::move(throws));
                throw std::runtime_error("body");
            }));
        EXPECT_TRUE(outcome.has_value());
        EXPECT_EQ(events, (Events{"+a", "-c: std::runtime_error: body",
                                  "-b: std::runtime_error: exit of c", "-a"}));
    });
}

TEST(AsyncExitStack, an_exception_of_an_exit_is_raised) {
    testing::run([]() -> Coro<> {
        Events events;
        AsyncExitStack stack;
        Resource throws(events, "a");
        throws.fail_on_exit = true;
        stack.push_async_exit(throws);
        stack.push_async_exit(Resource(events, "b"));
        const auto outcome = co_await as_outcome(stack.aclose());
        EXPECT_EQ(error_of(outcome), "std::runtime_error: exit of a");
        EXPECT_EQ(events, (Events{"-b", "-a"}));
        co_await stack.aclose();  // nothing is left
        EXPECT_EQ(events.size(), 2u);
    });
}

TEST(AsyncExitStack, what_was_not_entered_is_not_left) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto outcome =
            co_await as_outcome(with(AsyncExitStack(), [&](AsyncExitStack& stack) -> Coro<> {
                (void)co_await stack.enter_context(Resource(events, "a"));
                Resource bad(events, "b");
                bad.fail_on_entry = true;
                (void)co_await stack.enter_context(bad);
            }));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: b");
        EXPECT_EQ(events, (Events{"+a", "-a: std::runtime_error: b"}));
    });
}

TEST(AsyncExitStack, pop_all_moves_the_duty) {
    testing::run([]() -> Coro<> {
        Events events;
        AsyncExitStack kept;
        co_await with(AsyncExitStack(), [&](AsyncExitStack& stack) -> Coro<> {
            (void)co_await stack.enter_context(Resource(events, "a"));
            kept = stack.pop_all();
        });
        EXPECT_EQ(events, (Events{"+a"}));
        co_await kept.aclose();
        EXPECT_EQ(events, (Events{"+a", "-a"}));
    });
}

TEST(AsyncExitStack, cancelled_at_every_await) {
    for (int at = 0; at < 7; ++at) {
        testing::run([at]() -> Coro<> {
            Events events;
            Task<> t = create_task([&events]() -> Coro<> {
                co_await with(AsyncExitStack(), [&](AsyncExitStack& stack) -> Coro<> {
                    (void)co_await stack.enter_context(Resource(events, "a"));
                    (void)co_await stack.enter_context(Resource(events, "b"));
                    co_await sleep(1s);
                });
            });
            co_await sleep(500ms + at * 1s);
            t.cancel();
            const auto outcome = co_await as_outcome(t);
            EXPECT_EQ(outcome.cancelled(), at < 5) << at;
            std::size_t entered = 0;
            for (const std::string& e : events) entered += e[0] == '+' ? 1 : 0;
            EXPECT_EQ(events.size(), 2 * entered) << at;  // what was entered was left
        });
    }
}

}  // namespace
}  // namespace asyncio
