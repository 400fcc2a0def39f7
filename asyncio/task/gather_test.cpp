// SPDX-License-Identifier: MIT
#include <asyncio/task/gather.hpp>
#include <asyncio/task/task_fixture_test.hpp>

#include <list>
#include <memory>
#include <ranges>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

// --- results --------------------------------------------------------------------------------

TEST(Gather, GATH_01_results_stand_in_argument_order) {
    testing::run([]() -> Coro<> {
        const auto [a, b, c] =
            co_await gather(later(1, 3s), later(std::string("two"), 1s), sleep(2s));
        EXPECT_EQ(a, 1);
        EXPECT_EQ(b, "two");
        static_assert(std::is_same_v<decltype(c), const std::monostate>);
        std::vector<Coro<int>> many;
        for (int i = 0; i < 10; ++i) many.push_back(later(i, std::chrono::seconds(10 - i)));
        const std::vector<int> results = co_await gather(std::move(many));
        EXPECT_EQ(results, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
    });
}

TEST(Gather, GATH_02_children_start_in_argument_order) {
    Events events;
    const auto note = [&](std::string name) -> Coro<> {
        events.push_back(name);
        co_return;
    };
    testing::run([&]() -> Coro<> { co_await gather(note("a"), note("b"), note("c")); });
    EXPECT_EQ(events, (Events{"a", "b", "c"}));
}

TEST(Gather, GATH_03_of_nothing_is_done) {
    testing::run([]() -> Coro<> {
        EXPECT_TRUE(gather().done());
        auto none = gather(std::vector<Coro<int>>());
        EXPECT_TRUE(none.done());
        Iterations iterations;
        const std::vector<int> results = co_await std::move(none);
        EXPECT_TRUE(results.empty());
        EXPECT_EQ(iterations.count(), 0);
    });
}

TEST(Gather, move_only_results_are_moved_out) {
    testing::run([]() -> Coro<> {
        const auto make = [](int v) -> Coro<std::unique_ptr<int>> {
            co_return std::make_unique<int>(v);
        };
        auto [a, b] = co_await gather(make(1), make(2));
        EXPECT_EQ(*a + *b, 3);
    });
}

TEST(Gather, takes_three_iterations) {
    testing::run([]() -> Coro<> {
        Iterations iterations;
        co_await gather(return_at_once(), return_at_once());
        EXPECT_EQ(iterations.count(), 3);
    });
}

// --- failures -------------------------------------------------------------------------------

TEST(Gather, GATH_04_GATH_05_the_first_failure_is_raised_at_once_and_the_others_go_on) {
    testing::run([]() -> Coro<> {
        const TimePoint start = get_running_loop().time();
        Task<int> slow = create_task(later(1, 5s));
        const auto outcome = co_await as_outcome(gather(slow, fail_later("first", 1s), forever()));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: first");
        EXPECT_EQ(get_running_loop().time() - start, 1s);
        const int v = co_await slow;
        EXPECT_EQ(v, 1);
        EXPECT_EQ(all_tasks().size(), 2u);  // forever() is still there
    });
}

TEST(Gather, GATH_06_later_failures_are_not_reported) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        const auto outcome =
            co_await as_outcome(gather(fail_later("first", 1s), fail_later("second", 2s)));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: first");
        co_await sleep(5s);
        EXPECT_TRUE(errors.reports().empty());
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Gather, GATH_07_with_return_exceptions_they_stand_in_place) {
    testing::run([]() -> Coro<> {
        const auto both =
            co_await gather(return_exceptions, at_once(1), fail_at_once("two"), sleep(1s));
        EXPECT_EQ(*std::get<0>(both), 1);
        EXPECT_EQ(error_of(std::get<1>(both)), "std::runtime_error: two");
        EXPECT_TRUE(std::get<2>(both).has_value());
        std::vector<Coro<int>> many;
        many.push_back(fail_at_once("x"));
        many.push_back(at_once(3));
        const std::vector<Outcome<int>> outcomes =
            co_await gather(return_exceptions, std::move(many));
        EXPECT_FALSE(outcomes[0]);
        EXPECT_EQ(*outcomes[1], 3);
    });
}

TEST(Gather, GATH_08_of_two_failures_in_one_iteration_the_first_callback_wins) {
    testing::run([]() -> Coro<> {
        Future<int> a;
        Future<int> b;
        get_running_loop().call_soon([=] {
            b.set_exception(std::runtime_error("b"));
            a.set_exception(std::runtime_error("a"));
        });
        const auto outcome = co_await as_outcome(gather(a, b));
        EXPECT_EQ(error_of(outcome), "std::runtime_error: b");
    });
}

TEST(Gather, GATH_09_a_cancelled_child_fails_it_and_the_siblings_go_on) {
    testing::run([]() -> Coro<> {
        Task<> doomed = create_task(forever());
        Task<int> sibling = create_task(later(1, 1s));
        auto both = gather(doomed, sibling);
        co_await sleep(0s);
        doomed.cancel("child");
        const auto outcome = co_await as_outcome(both);
        EXPECT_EQ(error_of(outcome), "CancelledError: child");
        EXPECT_FALSE(both.cancelled());
        EXPECT_TRUE(both.done());
        EXPECT_NE(both.exception(), nullptr);
        const int v = co_await sibling;
        EXPECT_EQ(v, 1);
    });
}

TEST(Gather, GATH_10_with_return_exceptions_a_cancelled_child_is_a_value) {
    testing::run([]() -> Coro<> {
        Task<> doomed = create_task(forever());
        auto both = gather(return_exceptions, doomed, later(1, 1s));
        co_await sleep(0s);
        doomed.cancel("child");
        const auto results = co_await both;
        EXPECT_TRUE(std::get<0>(results).cancelled());
        EXPECT_EQ(*std::get<1>(results), 1);
    });
}

// --- cancelling -----------------------------------------------------------------------------

TEST(Gather, GATH_11_cancels_every_unfinished_child) {
    testing::run([]() -> Coro<> {
        Events events;
        auto all = gather(note_cancel(events, "a"), at_once(1), note_cancel(events, "b"));
        co_await turns(2);
        EXPECT_TRUE(all.cancel("stop"));
        const auto outcome = co_await as_outcome(all);
        EXPECT_EQ(error_of(outcome), "CancelledError: stop");
        EXPECT_FALSE(all.cancelled());
        co_await sleep(0s);
        EXPECT_EQ(events, (Events{"a cancelled: stop", "b cancelled: stop"}));
    });
}

Coro<> slow_to_die(Events& events, Duration delay) {
    try {
        co_await forever();
    } catch (const CancelledError&) {
        events.push_back("dying");
    }
    co_await sleep(delay);
    events.push_back("dead");
    throw CancelledError("own");
}

TEST(Gather, GATH_12_waits_for_all_children_and_then_raises_CancelledError) {
    testing::run([]() -> Coro<> {
        Events events;
        auto all = gather(return_exceptions, forever(), slow_to_die(events, 3s));
        co_await turns(2);
        const TimePoint start = get_running_loop().time();
        EXPECT_TRUE(all.cancel());
        const auto outcome = co_await as_outcome(all);
        EXPECT_TRUE(outcome.cancelled());
        EXPECT_EQ(get_running_loop().time() - start, 3s);
        EXPECT_EQ(events, (Events{"dying", "dead"}));
    });
}

TEST(Gather, GATH_13_raises_CancelledError_even_if_all_children_swallowed_it) {
    testing::run([]() -> Coro<> {
        auto plain = gather(swallow_cancel(1), swallow_cancel(2));
        auto outcomes = gather(return_exceptions, swallow_cancel(1), swallow_cancel(2));
        co_await turns(2);
        EXPECT_TRUE(plain.cancel("m"));
        EXPECT_TRUE(outcomes.cancel());
        const auto a = co_await as_outcome(plain);
        const auto b = co_await as_outcome(outcomes);
        EXPECT_EQ(error_of(a), "CancelledError");  // no message: the last child was not cancelled
        EXPECT_TRUE(b.cancelled());
    });
}

TEST(Gather, GATH_14_with_all_children_done_it_cannot_be_cancelled) {
    testing::run([]() -> Coro<> {
        Task<int> child = create_task(at_once(1));
        Future<std::tuple<int>> all{Ref<task::FutureCore>()};
        bool asked = false;
        child.add_done_callback([&](Task<int>&) {  // comes before the gather's own
            asked = true;
            EXPECT_FALSE(all.done());
            EXPECT_FALSE(all.cancel());
        });
        all = gather(child);
        const auto [v] = co_await all;
        EXPECT_TRUE(asked);
        EXPECT_EQ(v, 1);
        EXPECT_FALSE(all.cancel());
        EXPECT_TRUE(gather(child).done());  // what is done counts at once
    });
}

TEST(Gather, GATH_15_after_a_failure_cancelling_leaves_the_children_alone) {
    testing::run([]() -> Coro<> {
        Task<int> survivor = create_task(later(7, 2s));
        auto all = gather(survivor, fail_later("x", 1s));
        (void)co_await as_outcome(all);
        EXPECT_FALSE(all.cancel());
        const int v = co_await survivor;
        EXPECT_EQ(v, 7);
        EXPECT_EQ(survivor.cancelling(), 0u);
    });
}

TEST(Gather, GATH_16_GATH_17_cancelling_the_awaiting_task_cancels_the_children_with_its_message) {
    testing::run([]() -> Coro<> {
        Events events;
        const auto body = [&]() -> Coro<> {
            co_await gather(note_cancel(events, "a"), note_cancel(events, "b"));
        };
        Task<> t = create_task(body());
        co_await turns(3);
        t.cancel("outer");
        const auto outcome = co_await as_outcome(t);
        EXPECT_EQ(error_of(outcome), "CancelledError: outer");
        EXPECT_TRUE(t.cancelled());
        EXPECT_EQ(events, (Events{"a cancelled: outer", "b cancelled: outer"}));
    });
}

TEST(Gather, cancelled_and_failed_in_the_same_iteration) {
    testing::run([]() -> Coro<> {
        Future<int> a;
        Task<> b = create_task(forever());
        auto all = gather(a, b);
        co_await sleep(0s);
        a.set_exception(std::runtime_error("a"));
        EXPECT_TRUE(all.cancel());
        const auto outcome = co_await as_outcome(all);
        EXPECT_EQ(error_of(outcome), "std::runtime_error: a");  // its callback came first
        co_await turns(2);
        EXPECT_TRUE(b.cancelled());
    });
}

// --- arguments ------------------------------------------------------------------------------

TEST(Gather, GATH_18_the_same_awaitable_twice_runs_once) {
    testing::run([]() -> Coro<> {
        int runs = 0;
        Task<std::string> t = create_task([&]() -> Coro<std::string> {
            ++runs;
            co_return std::string(50, 'x');
        });
        const auto [a, b] = co_await gather(t, t);
        EXPECT_EQ(runs, 1);
        EXPECT_EQ(a, std::string(50, 'x'));
        EXPECT_EQ(a, b);
    });
}

TEST(Gather, GATH_19_futures_of_different_loops_are_an_error) {
    const auto other = testing::make_virtual_loop();
    Future<int> foreign = other->create_future<int>();
    testing::run([&]() -> Coro<> {
        Future<int> own;
        EXPECT_THROW((void)gather(own, foreign), std::invalid_argument);
        EXPECT_THROW((void)gather(foreign, own), std::invalid_argument);
        EXPECT_FALSE(own.done());
        co_return;
    });
    other->close();
}

TEST(Gather, GATH_20_outside_a_running_loop_futures_bring_their_loop) {
    const auto loop = testing::make_virtual_loop();
    Future<int> f = loop->create_future<int>();
    auto all = gather(f);
    EXPECT_THROW((void)gather(at_once(1)), std::logic_error);
    loop->call_soon([f] { f.set_result(9); });
    const auto [v] = loop->run_until_complete(all);
    EXPECT_EQ(v, 9);
    loop->close();
}

template <class... As>
concept CanGather = requires(As... as) { gather(std::move(as)...); };
TEST(Gather, GATH_21_other_arguments_do_not_compile) {
    static_assert(CanGather<Coro<>, Future<int>>);
    // Anything else: tests/wrong_programs.
}

// --- lifetime -------------------------------------------------------------------------------

TEST(Gather, a_dropped_gather_still_marks_failures_as_seen) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        (void)gather(return_exceptions, fail_later("x", 1s), forever());
        co_await sleep(2s);
        EXPECT_TRUE(errors.reports().empty());
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Gather, its_own_unseen_failure_is_reported_once) {
    testing::run([]() -> Coro<> {
        testing::ErrorLog errors(get_running_loop());
        (void)gather(fail_later("x", 1s), fail_later("y", 1s));
        co_await sleep(2s);
        EXPECT_EQ(errors.exceptions(), (Events{"std::runtime_error: x"}));
        get_running_loop().set_exception_handler(nullptr);
    });
}

TEST(Gather, destroyed_with_its_loop_in_every_state) {
    for (int turns_before = 0; turns_before < 4; ++turns_before) {
        const auto loop = testing::make_virtual_loop();
        testing::ErrorLog errors(*loop);
        auto token = std::make_shared<int>();
        const auto hold = [](std::shared_ptr<int>) -> Coro<> { co_await forever(); };
        const auto main = [&]() -> Coro<> {
            (void)gather(hold(token), return_at_once());
            auto waited = [&]() -> Coro<> { co_await gather(hold(token), fail_at_once("x")); };
            Task<> t = create_task(waited);
            co_await turns(turns_before);
        };
        loop->run_until_complete(main());
        loop->close();
        EXPECT_EQ(token.use_count(), 1);
    }
}

TEST(Gather, ten_thousand_children) {
    testing::run([]() -> Coro<> {
        std::vector<Coro<int>> many;
        for (int i = 0; i < 10'000; ++i)
            many.push_back(later(1, std::chrono::milliseconds(i % 100)));
        const std::vector<int> results = co_await gather(std::move(many));
        int sum = 0;
        for (const int v : results) sum += v;
        EXPECT_EQ(sum, 10'000);
    });
}

TEST(Gather, a_vector_of_move_only_results) {
    testing::run([]() -> Coro<> {
        const auto make = [](int n) -> Coro<std::unique_ptr<int>> {
            co_return std::make_unique<int>(n);
        };
        std::vector<Coro<std::unique_ptr<int>>> coros;
        for (int i = 0; i < 3; ++i) coros.push_back(make(i));
        const std::vector<std::unique_ptr<int>> results = co_await gather(std::move(coros));
        EXPECT_EQ(*results.at(2), 2);
    });
}

TEST(Gather, of_what_map_makes_and_of_other_ranges) {
    testing::run([]() -> Coro<> {
        const auto all = [] {  // what map() is given is gone when the coroutines run
            const std::string more = "!";
            std::vector<std::string> words = {"a", "b"};
            return map(words, [more](const std::string& word) -> Coro<std::string> {
                co_await sleep(1s);
                co_return word + more;
            });
        };
        const std::vector<std::string> words = co_await gather(all());
        EXPECT_EQ(words, (std::vector<std::string>{"a!", "b!"}));
        const std::vector<int> numbers = co_await gather(map(
            std::views::iota(1, 4), [](int n) -> Coro<int> { co_return co_await later(n, 1s); }));
        EXPECT_EQ(numbers, (std::vector<int>{1, 2, 3}));
        const std::list<Task<int>> tasks = {create_task(later(5, 1s)), create_task(later(6, 1s))};
        const auto outcomes = co_await gather(return_exceptions, tasks);
        EXPECT_EQ(*outcomes.at(0) + *outcomes.at(1), 11);
        EXPECT_TRUE(tasks.front().done());  // handles are copied from what is not moved in
    });
}

}  // namespace
}  // namespace asyncio
