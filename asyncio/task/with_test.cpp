// SPDX-License-Identifier: MIT
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/timeout.hpp>
#include <asyncio/task/with.hpp>

#include <memory>
#include <optional>
#include <string>

namespace asyncio {
namespace {

using namespace task_tests;

/// Notes what happens to it.
class Manager {
  public:
    explicit Manager(Events& events) : events_(&events) {}

    Coro<std::unique_ptr<int>> aenter() {
        co_await sleep(1s);
        if (fail_on_entry) throw std::runtime_error("entry");
        events_->push_back("enter");
        co_return std::make_unique<int>(42);
    }
    Coro<bool> aexit(std::exception_ptr error) {
        events_->push_back("exit: " + describe(error));
        co_await sleep(1s);
        if (fail_on_exit) throw std::runtime_error("exit");
        co_return swallow;
    }

    bool fail_on_entry = false;
    bool fail_on_exit = false;
    bool swallow = false;

  private:
    Events* events_;
};

/// The least a manager can be: not movable, gives nothing, decides nothing.
class Plain {
  public:
    Plain() = default;
    Plain(const Plain&) = delete;
    Plain& operator=(const Plain&) = delete;

    Sleep aenter() {
        ++inside;
        return sleep(0s);
    }
    Coro<> aexit(std::exception_ptr) {
        --inside;
        co_return;
    }
    int inside = 0;
};

TEST(With, gives_the_entered_value_and_the_bodys_result) {
    testing::run([]() -> Coro<> {
        Events events;
        const std::string text =
            co_await with(Manager(events), [&](std::unique_ptr<int>& value) -> Coro<std::string> {
                events.push_back("body");
                co_await sleep(1s);
                co_return std::to_string(*value);
            });
        EXPECT_EQ(text, "42");
        EXPECT_EQ(events, (Events{"enter", "body", "exit: no exception"}));
    });
}

TEST(With, a_body_without_parameter) {
    testing::run([]() -> Coro<> {
        Events events;
        const int n = co_await with(Manager(events), []() -> Coro<int> { co_return 3; });
        EXPECT_EQ(n, 3);
        EXPECT_EQ(events.size(), 2u);
    });
}

TEST(With, an_lvalue_stays_where_it_is_and_a_void_entry_gives_the_manager) {
    testing::run([]() -> Coro<> {
        Plain plain;
        co_await with(plain, [&](Plain& same) -> Coro<> {
            EXPECT_EQ(&same, &plain);
            EXPECT_EQ(plain.inside, 1);
            co_return;
        });
        EXPECT_EQ(plain.inside, 0);
        const auto outcome = co_await as_outcome(with(plain, [](Plain&) -> Coro<> {
            throw std::runtime_error("body");
            co_return;
        }));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: body");
        EXPECT_EQ(plain.inside, 0);
    });
}

TEST(With, the_body_may_return_any_awaitable_and_move_only_results) {
    testing::run([]() -> Coro<> {
        Plain plain;
        co_await with(plain, [] { return sleep(1s); });
        Task<int> t = create_task(later(5, 1s));
        const int v = co_await with(plain, [&] { return t; });
        EXPECT_EQ(v, 5);
        const std::unique_ptr<int> p = co_await with(
            plain, []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(6); });
        EXPECT_EQ(*p, 6);
    });
}

TEST(With, the_bodys_error_passes_aexit) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto body = [](std::unique_ptr<int>&) -> Coro<int> {
            co_return co_await fail_later("body", 1s);
        };
        const auto outcome = co_await as_outcome(with(Manager(events), body));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: body");
        EXPECT_EQ(events, (Events{"enter", "exit: std::runtime_error: body"}));
    });
}

TEST(With, without_entry_no_exit) {
    testing::run([]() -> Coro<> {
        Events events;
        Manager manager(events);
        manager.fail_on_entry = true;
        const auto outcome = co_await as_outcome(with(manager, []() -> Coro<> { co_return; }));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: entry");
        EXPECT_TRUE(events.empty());
    });
}

TEST(With, an_error_of_aexit_replaces_the_bodys) {
    testing::run([]() -> Coro<> {
        Events events;
        Manager manager(events);
        manager.fail_on_exit = true;
        const auto body = []() -> Coro<int> { co_return co_await fail_later("body", 1s); };
        const auto failed = co_await as_outcome(with(manager, body));
        EXPECT_EQ(error_of(failed), "std::runtime_error: exit");
        const auto fine = co_await as_outcome(with(manager, []() -> Coro<int> { co_return 1; }));
        EXPECT_EQ(error_of(fine), "std::runtime_error: exit");
    });
}

TEST(With, aexit_may_swallow) {
    testing::run([]() -> Coro<> {
        Events events;
        Manager manager(events);
        manager.swallow = true;
        co_await with(manager, []() -> Coro<> {
            throw std::runtime_error("swallowed");
            co_return;
        });
        const auto optional = co_await with(manager, []() -> Coro<std::optional<int>> {
            throw std::runtime_error("swallowed");
            co_return 1;
        });
        EXPECT_FALSE(optional.has_value());
        const auto body = []() -> Coro<int> { co_return co_await fail_later("swallowed", 1s); };
        const auto none = co_await as_outcome(with(manager, body));
        EXPECT_TRUE(error_of(none).starts_with("std::logic_error: with(): the exception was"));
        const int kept = co_await with(manager, []() -> Coro<int> { co_return 8; });
        EXPECT_EQ(kept, 8);
    });
}

TEST(With, a_cancelled_body_is_left_properly) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> t = create_task(
            [&]() -> Coro<> { co_await with(Manager(events), [] { return sleep(24h); }); });
        co_await sleep(2s);
        t.cancel("why");
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: why");
        EXPECT_EQ(events, (Events{"enter", "exit: CancelledError: why"}));
    });
}

TEST(With, cancelled_at_every_await) {
    for (int at = 0; at < 8; ++at) {
        testing::run([at]() -> Coro<> {
            Events events;
            Task<> t = create_task(
                [&]() -> Coro<> { co_await with(Manager(events), [] { return sleep(1s); }); });
            co_await sleep(250ms + at * 500ms);
            t.cancel();
            const auto outcome = co_await as_outcome(t);
            EXPECT_EQ(outcome.cancelled(), at < 6) << at;
            EXPECT_EQ(events.size(), at < 2 ? 0u : 2u) << at;  // entered and left, or neither
        });
    }
}

TEST(With, closing_the_loop_inside_destroys_what_it_holds) {
    for (int at = 1; at < 6; ++at) {
        const auto held = std::make_shared<int>(1);
        Events events;
        {
            const auto loop = testing::make_virtual_loop();
            testing::ErrorLog errors(*loop);
            Task<> t = loop->create_task([&events, held]() -> Coro<> {
                const auto body = [held]() -> Coro<> { co_await sleep(1s); };
                co_await with(Manager(events), body);
            });
            for (int i = 0; i < at; ++i) {
                loop->stop();
                loop->run_forever();
            }
            loop->close();
        }
        EXPECT_EQ(held.use_count(), 1) << at;
    }
}

/// As open() is: an awaitable of a manager.
Coro<Manager> open_manager(Events& events) {
    co_await sleep(1s);
    events.push_back("open");
    co_return Manager(events);
}

TEST(With, an_awaitable_of_a_manager) {
    testing::run([]() -> Coro<> {
        Events events;
        const int n = co_await with(open_manager(events),
                                    [](std::unique_ptr<int>& v) -> Coro<int> { co_return *v; });
        EXPECT_EQ(n, 42);
        EXPECT_EQ(events, (Events{"open", "enter", "exit: no exception"}));
    });
}

TEST(With, the_timeout_as_a_manager) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        const auto outcome = co_await as_outcome(with(timeout(1s), [&](Timeout& t) -> Coro<> {
            t.reschedule(start + 3s);
            co_await forever();
        }));
        EXPECT_TRUE(error_of(outcome).starts_with("asyncio::TimeoutError"));
        EXPECT_EQ(get_running_loop().time() - start, 3s);
        const int v = co_await timeout(1s, []() -> Coro<int> { co_return 5; });
        EXPECT_EQ(v, 5);
        const auto late = co_await as_outcome(
            timeout_at(get_running_loop().time() + 1s, []() -> Coro<> { co_await forever(); }));
        EXPECT_TRUE(error_of(late).starts_with("asyncio::TimeoutError"));
        co_await timeout(std::nullopt, [](Timeout& t) -> Coro<> {
            EXPECT_FALSE(t.when().has_value());
            co_return;
        });
    });
}

}  // namespace
}  // namespace asyncio
