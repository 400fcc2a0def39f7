// SPDX-License-Identifier: MIT
#include <asyncio/task/staggered_race.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

Coro<int> noted(Events& events, Coro<int> work, std::string name) {
    events.push_back("+" + name);
    const auto outcome = co_await as_outcome(std::move(work));
    events.push_back("-" + name);
    if (!outcome) std::rethrow_exception(outcome.error());
    co_return *outcome;
}

/// Takes so long and gives `value`, or throws if that is negative.
struct Attempt {
    Events* events;
    int value;
    Duration time;

    Coro<int> operator()() const {
        const std::string name = std::to_string(value);
        Coro<int> work = value < 0 ? fail_later(name, time) : later(value, time);
        const int v = co_await noted(*events, std::move(work), name);
        co_return v;
    }
};
using Attempts = std::vector<Attempt>;

Attempt attempt(Events& events, int value, Duration time) { return {&events, value, time}; }

template <class T>
std::vector<std::string> errors_of(const StaggeredRace<T>& race) {
    std::vector<std::string> texts;
    for (const auto& e : race.exceptions) texts.push_back(e ? describe(e) : "none");
    return texts;
}
using Texts = std::vector<std::string>;

TEST(StaggeredRace, STAG_01_of_nobody) {
    testing::run([]() -> Coro<> {
        const auto race = co_await staggered_race(Attempts(), 1s);
        EXPECT_FALSE(race.result.has_value());
        EXPECT_FALSE(race.winner_index.has_value());
        EXPECT_TRUE(race.exceptions.empty());
    });
}

TEST(StaggeredRace, STAG_02_the_first_success_wins_and_no_other_starts) {
    testing::run([]() -> Coro<> {
        Events events;
        Attempts attempts;
        attempts.push_back(attempt(events, 1, 10s));
        attempts.push_back(attempt(events, 2, 1s));
        const auto race = co_await staggered_race(std::move(attempts), std::nullopt);
        EXPECT_EQ(race.result, 1);
        EXPECT_EQ(race.winner_index, 0u);
        EXPECT_EQ(errors_of(race), (Texts{"none"}));
        EXPECT_EQ(events, (Events{"+1", "-1"}));
    });
}

TEST(StaggeredRace, STAG_03_STAG_07_a_failure_starts_the_next_at_once) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Events events;
        Attempts attempts;
        attempts.push_back(attempt(events, -1, 1s));
        attempts.push_back(attempt(events, 2, 1s));
        attempts.push_back(attempt(events, 3, 1s));
        const auto race = co_await staggered_race(std::move(attempts), 100s);
        EXPECT_EQ(race.winner_index, 1u);
        EXPECT_EQ(errors_of(race), (Texts{"std::runtime_error: -1", "none"}));
        EXPECT_EQ(get_running_loop().time() - start, 2s);
    });
}

TEST(StaggeredRace, STAG_04_after_the_delay_the_next_starts_and_losers_are_awaited) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Events events;
        Attempts attempts;
        attempts.push_back(attempt(events, 1, 100s));
        attempts.push_back(attempt(events, -2, 1s));  // ends while the third runs
        attempts.push_back(attempt(events, 3, 4s));
        attempts.push_back(attempt(events, 4, 9s));
        const auto race = co_await staggered_race(std::move(attempts), 2s);
        EXPECT_EQ(race.result, 3);
        EXPECT_EQ(errors_of(race),
                  (Texts{"CancelledError", "std::runtime_error: -2", "none", "CancelledError"}));
        EXPECT_EQ(events, (Events{"+1", "+-2", "--2", "+3", "+4", "-3", "-1", "-4"}));
        EXPECT_EQ(get_running_loop().time() - start, 7s);
        EXPECT_EQ(all_tasks().size(), 1u);
    });
}

TEST(StaggeredRace, STAG_05_when_all_fail) {
    testing::run([]() -> Coro<> {
        Events events;
        Attempts attempts;
        for (int i = 1; i < 4; ++i) attempts.push_back(attempt(events, -i, 10s / i));
        const auto race = co_await staggered_race(std::move(attempts), 1s);
        EXPECT_FALSE(race.result.has_value());
        EXPECT_FALSE(race.winner_index.has_value());
        EXPECT_EQ(errors_of(race), (Texts{"std::runtime_error: -1", "std::runtime_error: -2",
                                          "std::runtime_error: -3"}));
    });
}

TEST(StaggeredRace, STAG_06_two_successes_in_one_iteration) {
    testing::run([]() -> Coro<> {
        Events events;
        Attempts attempts;
        attempts.push_back(attempt(events, 1, 3s));
        attempts.push_back(attempt(events, 2, 2s));
        const auto race = co_await staggered_race(std::move(attempts), 1s);
        EXPECT_EQ(race.result, 1);
        EXPECT_EQ(errors_of(race), (Texts{"none", "CancelledError"}));
    });
}

TEST(StaggeredRace, STAG_06_a_loser_that_does_not_give_way_has_lost_all_the_same) {
    testing::run([]() -> Coro<> {
        int made = 0;
        const auto make = [&]() -> Coro<int> {
            const int number = ++made;
            if (number == 1) co_return co_await swallow_cancel(1);
            co_return co_await later(2, 1s);
        };
        std::vector<std::decay_t<decltype(make)>> attempts{make, make};
        const auto race = co_await staggered_race(std::move(attempts), 1s);
        EXPECT_EQ(race.result, 2);
        EXPECT_EQ(errors_of(race), (Texts{"CancelledError", "none"}));
    });
}

TEST(StaggeredRace, STAG_08_cancelling_it_cancels_and_awaits_the_attempts) {
    testing::run([]() -> Coro<> {
        Events events;
        Task<> t = create_task([&events]() -> Coro<> {
            auto stubborn = [&events]() -> Coro<int> {
                for (int i = 0; i < 3; ++i) {
                    const auto outcome = co_await as_outcome(forever());
                    events.push_back(error_of(outcome));
                }
                co_return 1;
            };
            std::vector<decltype(stubborn)> attempts{stubborn, stubborn, stubborn};
            (void)co_await staggered_race(std::move(attempts), 10s);
        });
        co_await sleep(1s);
        for (const char* message : {"a", "b", "c"}) {
            EXPECT_FALSE(t.done());
            t.cancel(message);
            co_await sleep(20s);
        }
        EXPECT_TRUE(t.cancelled());
        EXPECT_EQ(events, (Events{"CancelledError: a", "CancelledError: b", "CancelledError: c"}));
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: c");
    });
}

TEST(StaggeredRace, attempts_without_a_result_and_fatal_ones) {
    testing::run([]() -> Coro<> {
        auto sleeps = [] { return sleep(1s); };
        std::vector<decltype(sleeps)> attempts{sleeps, sleeps};
        const auto race = co_await staggered_race(std::move(attempts), std::nullopt);
        EXPECT_TRUE(race.result.has_value());
        auto exits = []() -> Coro<int> {
            throw SystemExit(2);
            co_return 1;
        };
        std::vector<decltype(exits)> fatal{exits};
        const auto outcome = co_await as_outcome(staggered_race(std::move(fatal), std::nullopt));
        EXPECT_EQ(error_of(outcome), "SystemExit");
    });
}

TEST(StaggeredRace, without_delay_between_them) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Events events;
        Attempts attempts;
        for (int i = 1; i < 5; ++i) attempts.push_back(attempt(events, i, 5s - i * 1s));
        const auto race = co_await staggered_race(std::move(attempts), 0s);
        EXPECT_EQ(race.result, 4);
        EXPECT_EQ(get_running_loop().time() - start, 1s);
    });
}

TEST(StaggeredRace, closing_the_loop_under_it) {
    for (int at = 1; at < 8; ++at) {
        const auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        Events events;
        Task<> t = loop->create_task([&]() -> Coro<> {
            Attempts attempts;
            for (int i = 1; i < 4; ++i) attempts.push_back(attempt(events, i, 10s));
            (void)co_await staggered_race(std::move(attempts), 1s);
        });
        for (int i = 0; i < at; ++i) {
            loop->stop();
            loop->run_forever();
        }
        loop->close();
        EXPECT_FALSE(t.done());
    }
}

}  // namespace
}  // namespace asyncio
