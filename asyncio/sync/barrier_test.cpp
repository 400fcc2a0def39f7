// SPDX-License-Identifier: MIT
#include <asyncio/sync/barrier.hpp>
#include <asyncio/sync/sync_fixture_test.hpp>

#include <memory>
#include <optional>

namespace asyncio {
namespace {

using namespace sync_tests;

/// Notes the index it gets, or that the barrier broke.
Coro<> wait_and_note(Barrier& barrier, Events& events, std::string name) {
    try {
        const int index = co_await barrier.wait();
        events.push_back(name + " " + std::to_string(index));
    } catch (const BrokenBarrierError&) {
        events.push_back(name + " broken");
    }
}

std::vector<Task<>> start_parties(Barrier& barrier, Events& events,
                                  const std::vector<std::string>& names) {
    return start_all(names,
                     [&](auto name) { return create_task(wait_and_note(barrier, events, name)); });
}

TEST(Barrier, BAR_01_there_is_at_least_one_party) {
    EXPECT_THROW(Barrier(0), std::invalid_argument);
    EXPECT_THROW(Barrier(-3), std::invalid_argument);
    EXPECT_EQ(Barrier(2).parties(), 2);
}

TEST(Barrier, BAR_02_BAR_03_the_last_to_arrive_goes_first_and_all_know_their_index) {
    testing::run([]() -> Coro<> {
        Barrier barrier(3);
        Events events;
        const auto tasks = start_parties(barrier, events, {"a", "b"});
        co_await turns(3);
        EXPECT_TRUE(events.empty());
        EXPECT_EQ(barrier.n_waiting(), 2);
        Iterations iterations;
        co_await wait_and_note(barrier, events, "c");
        EXPECT_EQ(iterations.count(), 0);
        EXPECT_EQ(events, (Events{"c 2"}));
        co_await turns(1);
        EXPECT_EQ(events, (Events{"c 2", "a 0", "b 1"}));
    });
}

TEST(Barrier, BAR_04_a_barrier_of_one_never_blocks) {
    testing::run([]() -> Coro<> {
        Barrier barrier(1);
        Iterations iterations;
        for (int i = 0; i < 3; ++i) {
            const int index = co_await barrier.wait();
            EXPECT_EQ(index, 0);
        }
        EXPECT_EQ(iterations.count(), 0);
        EXPECT_EQ(barrier.n_waiting(), 0);
    });
}

TEST(Barrier, BAR_05_it_is_used_round_after_round) {
    testing::run([]() -> Coro<> {
        Barrier barrier(3);
        std::vector<int> round(3);
        const auto party = [&](std::size_t me) -> Coro<> {
            for (int i = 0; i < 20; ++i) {
                co_await turns(static_cast<int>(me));
                ++round[me];
                co_await barrier.wait();
                for (const int other : round) EXPECT_TRUE(other == i + 1 || other == i + 2);
            }
        };
        co_await gather(party(0), party(1), party(2));
        EXPECT_EQ(round, (std::vector<int>{20, 20, 20}));
        EXPECT_EQ(barrier.n_waiting(), 0);
    });
}

TEST(Barrier, BAR_06_who_comes_while_it_drains_counts_for_the_next_round) {
    testing::run([]() -> Coro<> {
        Barrier barrier(2);
        Events events;
        auto first = start_parties(barrier, events, {"a"});
        co_await turns(1);
        co_await wait_and_note(barrier, events, "b");  // a is on its way: the round drains
        EXPECT_EQ(barrier.n_waiting(), 0);
        const Task<> third = create_task(wait_and_note(barrier, events, "c"));
        const Task<> again =
            create_task([&]() -> Coro<> { co_await wait_and_note(barrier, events, "d"); });
        co_await wait_and_note(barrier, events, "b again");
        // Held back while a was in; then it and c were the next round, and d is left.
        co_await turns(3);
        EXPECT_EQ(events, (Events{"b 1", "a 0", "c 1", "b again 0"}));
        EXPECT_EQ(barrier.n_waiting(), 1);
        EXPECT_TRUE(third.done());
        again.cancel();
        co_await turns(1);
        EXPECT_EQ(barrier.n_waiting(), 0);
    });
}

TEST(Barrier, BAR_06_those_held_back_may_make_several_rounds) {
    testing::run([]() -> Coro<> {
        Barrier barrier(2);
        Events events;
        const auto first = start_parties(barrier, events, {"a"});
        co_await turns(1);
        const auto second = start_parties(barrier, events, {"b", "c", "d", "e", "f", "g"});
        co_await turns(6);
        EXPECT_EQ(events, (Events{"b 1", "a 0", "c 0", "d 1", "e 0", "f 1"}));
        EXPECT_EQ(barrier.n_waiting(), 1);
        co_await wait_and_note(barrier, events, "h");
        co_await turns(1);
        EXPECT_EQ(events.back(), "g 0");
    });
}

TEST(Barrier, BAR_07_n_waiting_counts_only_while_it_fills) {
    testing::run([]() -> Coro<> {
        Barrier barrier(3);
        Events events;
        EXPECT_EQ(barrier.n_waiting(), 0);
        const auto tasks = start_parties(barrier, events, {"a", "b"});
        co_await turns(1);
        EXPECT_EQ(barrier.n_waiting(), 2);
        EXPECT_EQ(barrier.description(), "<Barrier filling, waiters: 2/3>");
        co_await barrier.wait();
        EXPECT_EQ(barrier.n_waiting(), 0);
        EXPECT_EQ(barrier.description(), "<Barrier draining, waiters: 0/3>");
        co_await turns(1);
        const auto more = start_parties(barrier, events, {"c"});
        co_await turns(1);
        EXPECT_EQ(barrier.n_waiting(), 1);
        barrier.reset();
        EXPECT_EQ(barrier.n_waiting(), 0);
        EXPECT_EQ(barrier.description(), "<Barrier resetting, waiters: 0/3>");
        co_await turns(1);
        barrier.abort();
        EXPECT_EQ(barrier.n_waiting(), 0);
        EXPECT_EQ(barrier.description(), "<Barrier broken, waiters: 0/3>");
    });
}

TEST(Barrier, BAR_08_a_cancelled_party_just_leaves) {
    testing::run([]() -> Coro<> {
        Barrier barrier(3);
        Events events;
        auto tasks = start_parties(barrier, events, {"a", "b"});
        co_await turns(1);
        tasks[0].cancel();
        EXPECT_EQ(barrier.n_waiting(), 1);
        co_await turns(1);
        EXPECT_FALSE(barrier.broken());
        const auto more = start_parties(barrier, events, {"c", "d"});
        co_await turns(3);
        EXPECT_EQ(events, (Events{"d 2", "b 0", "c 1"}));  // distinct all the same
        EXPECT_TRUE(tasks[0].cancelled());
    });
}

TEST(Barrier, BAR_08_one_cancelled_after_the_release_does_not_hold_up_the_next_round) {
    testing::run([]() -> Coro<> {
        Barrier barrier(2);
        Events events;
        auto tasks = start_parties(barrier, events, {"a"});
        co_await turns(1);
        co_await barrier.wait();
        tasks[0].cancel();
        const auto more = start_parties(barrier, events, {"b", "c"});
        co_await turns(4);
        EXPECT_TRUE(tasks[0].cancelled());
        EXPECT_EQ(events.size(), 2u);
        EXPECT_EQ(barrier.n_waiting(), 0);
    });
}

TEST(Barrier, BAR_09_BAR_14_reset_fails_the_waiting_who_may_wait_again_at_once) {
    testing::run([]() -> Coro<> {
        Barrier barrier(3);
        Events events;
        const auto twice = [&](std::string name) -> Coro<> {
            co_await wait_and_note(barrier, events, name);
            co_await wait_and_note(barrier, events, name);
        };
        std::vector<Task<>> tasks;
        for (const char* name : {"a", "b"}) tasks.push_back(create_task(twice(name)));
        co_await turns(1);
        barrier.reset();
        co_await turns(2);
        EXPECT_EQ(events, (Events{"a broken", "b broken"}));
        EXPECT_FALSE(barrier.broken());
        EXPECT_EQ(barrier.n_waiting(), 2);
        co_await wait_and_note(barrier, events, "c");
        co_await turns(1);
        EXPECT_EQ(events, (Events{"a broken", "b broken", "c 2", "a 0", "b 1"}));
    });
}

TEST(Barrier, BAR_10_resetting_an_empty_one_is_harmless) {
    testing::run([]() -> Coro<> {
        Barrier barrier(2);
        Events events;
        barrier.reset();
        EXPECT_FALSE(barrier.broken());
        const auto tasks = start_parties(barrier, events, {"a", "b"});
        co_await turns(2);
        EXPECT_EQ(events, (Events{"b 1", "a 0"}));
    });
}

TEST(Barrier, BAR_11_a_reset_while_draining_fails_those_not_yet_out) {
    testing::run([]() -> Coro<> {
        Barrier barrier(3);
        Events events;
        const auto tasks = start_parties(barrier, events, {"a", "b"});
        co_await turns(1);
        co_await wait_and_note(barrier, events, "c");
        barrier.reset();
        co_await turns(2);
        EXPECT_EQ(events, (Events{"c 2", "a broken", "b broken"}));
        EXPECT_FALSE(barrier.broken());
        EXPECT_EQ(barrier.description(), "<Barrier filling, waiters: 0/3>");
    });
}

TEST(Barrier, BAR_12_BAR_13_abort_fails_everybody_until_a_reset) {
    testing::run([]() -> Coro<> {
        Barrier barrier(2);
        Events events;
        const auto first = start_parties(barrier, events, {"a"});
        co_await turns(1);
        barrier.abort();
        EXPECT_TRUE(barrier.broken());
        co_await wait_and_note(barrier, events, "b");
        co_await turns(1);
        EXPECT_EQ(events, (Events{"b broken", "a broken"}));
        EXPECT_TRUE(barrier.broken());
        barrier.reset();
        EXPECT_FALSE(barrier.broken());
        const auto second = start_parties(barrier, events, {"c", "d"});
        co_await turns(2);
        EXPECT_EQ(events, (Events{"b broken", "a broken", "d 1", "c 0"}));
    });
}

TEST(Barrier, BAR_12_abort_fails_also_those_held_back) {
    testing::run([]() -> Coro<> {
        Barrier barrier(2);
        Events events;
        const auto first = start_parties(barrier, events, {"a"});
        co_await turns(1);
        co_await wait_and_note(barrier, events, "b");
        const Task<> held_back = create_task(wait_and_note(barrier, events, "c"));
        // c's first step comes after a's: keep a inside by being the one who is next.
        barrier.abort();
        co_await turns(2);
        EXPECT_EQ(events, (Events{"b 1", "a broken", "c broken"}));
        EXPECT_TRUE(held_back.done());
        barrier.reset();
        EXPECT_EQ(barrier.description(), "<Barrier filling, waiters: 0/2>");
    });
}

TEST(Barrier, BAR_13_abort_then_reset_in_one_breath_mixes_no_rounds) {
    testing::run([]() -> Coro<> {
        Barrier barrier(2);
        Events events;
        const auto first = start_parties(barrier, events, {"a"});
        co_await turns(1);
        barrier.abort();
        barrier.reset();
        EXPECT_FALSE(barrier.broken());
        const auto second = start_parties(barrier, events, {"b"});
        co_await turns(2);  // held back until a is out, then alone
        EXPECT_EQ(events, (Events{"a broken"}));
        EXPECT_EQ(barrier.n_waiting(), 1);
        co_await wait_and_note(barrier, events, "c");
        co_await second[0];
        EXPECT_EQ(events, (Events{"a broken", "c 1", "b 0"}));
    });
}

TEST(Barrier, BAR_15_the_scoped_form_gives_the_index) {
    testing::run([]() -> Coro<> {
        Barrier barrier(1);
        const int index = co_await barrier.aenter();
        EXPECT_EQ(index, 0);
        const bool swallow = co_await barrier.aexit(nullptr);
        EXPECT_FALSE(swallow);
    });
}

// --- the end of the barrier, or of the loop ---------------------------------------------------

TEST(Barrier, may_die_as_soon_as_the_last_is_through) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        std::optional<Barrier> barrier(3);
        Events events;
        const auto tasks = start_parties(*barrier, events, {"a", "b"});
        co_await turns(1);
        co_await barrier->wait();
        barrier.reset();
        co_await turns(1);
        EXPECT_EQ(events, (Events{"a 0", "b 1"}));
        EXPECT_TRUE(errors.reports().empty());
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Barrier, destroying_one_with_waiters_is_reported_and_fails_them) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        std::optional<Barrier> barrier(2);
        const Task<int> waiter = create_task(barrier->wait(), {.name = "left"});
        const Task<int> cancelled = create_task([&]() -> Coro<int> {
            const int index = co_await barrier->wait();
            co_return index;
        });
        co_await turns(1);
        const Task<int> third = create_task(barrier->wait(), {.name = "alone"});
        co_await turns(2);
        third.cancel();
        const Task<int> fourth = create_task(barrier->wait(), {.name = "alone"});
        co_await turns(1);
        barrier.reset();
        EXPECT_EQ(errors.messages(),
                  (Events{"Barrier was destroyed while tasks were waiting for it"}));
        EXPECT_EQ(errors.reports()[0].task, "alone");
        const auto end = co_await as_outcome(fourth);
        EXPECT_EQ(error_of(end),
                  "std::logic_error: Barrier was destroyed while this task was waiting for it");
        EXPECT_TRUE(third.cancelled());
        EXPECT_TRUE(waiter.done() && cancelled.done());
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Barrier, closing_the_loop_in_every_state) {
    for (const int what : {0, 1, 2}) {
        auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        Barrier barrier(3);
        Events events;
        std::vector<Task<>> tasks;
        loop->run_until_complete([&]() -> Coro<> {
            tasks = start_parties(barrier, events, {"a", "b"});
            co_await turns(1);
        });
        if (what == 1) barrier.reset();
        if (what == 2) barrier.abort();
        loop->close();
        EXPECT_EQ(errors.reports().size(), 2u);
        EXPECT_TRUE(events.empty());
        EXPECT_EQ(barrier.n_waiting(), 0);
        EXPECT_EQ(barrier.broken(), what == 2);
    }
}

TEST(Barrier, waiting_on_a_second_loop_is_an_error) {
    Barrier barrier(3);
    const auto wait = [&]() -> Coro<> { co_await barrier.wait(); };
    const std::string error = on_two_loops(wait, wait);
    EXPECT_NE(error.find("Barrier.wait(): bound to a different event loop"), std::string::npos)
        << error;
    EXPECT_EQ(barrier.n_waiting(), 0);
}

}  // namespace
}  // namespace asyncio
