// SPDX-License-Identifier: MIT
#include <asyncio/task/async_generator.hpp>
#include <asyncio/task/call_graph.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/shield.hpp>
#include <asyncio/task/stack_fixture_test.hpp>
#include <asyncio/task/task_group.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/task/with.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

std::vector<std::string> awaiters(const FutureCallGraph& graph) {
    std::vector<std::string> tasks;
    for (const FutureCallGraph& awaiter : graph.awaited_by)
        tasks.push_back(task::TaskCore::from(awaiter.future.core().driver())->name());
    return tasks;
}
using Names = std::vector<std::string>;

// --- the graph ------------------------------------------------------------------------------

Coro<FutureCallGraph> capture_below() {
    co_await sleep(0s);
    co_return *capture_call_graph();
}

TEST(CallGraph, GRPH_01_of_the_current_task_lists_its_frames_innermost_first) {
    testing::run([]() -> Coro<> {
        const FutureCallGraph graph = co_await capture_below();
        EXPECT_EQ(names(graph.call_stack), "capture_below <lambda> call_it");
        EXPECT_EQ(graph.future, current_task());
        EXPECT_TRUE(graph.awaited_by.empty());
        EXPECT_EQ(graph.waiting_for, "");
    });
}

TEST(CallGraph, GRPH_02_awaited_by_lists_the_waiting_tasks_and_theirs) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        const Task<> inner = create_task(innermost(gate), {.name = "inner"});
        const Task<> a = create_task(await_task(inner), {.name = "a"});
        const Task<> b = create_task(await_task(inner), {.name = "b"});
        const Task<> top = create_task(await_task(a), {.name = "top"});
        co_await sleep(0s);
        const FutureCallGraph graph = capture_call_graph(inner);
        EXPECT_EQ(names(graph.call_stack), "innermost");
        EXPECT_EQ(graph.waiting_for, "future");
        EXPECT_EQ(awaiters(graph), (Names{"a", "b"}));
        EXPECT_EQ(names(graph.awaited_by.at(0).call_stack), "await_task");
        EXPECT_EQ(awaiters(graph.awaited_by.at(0)), Names{"top"});
        EXPECT_EQ(awaiters(graph.awaited_by.at(1)), Names());
        gate.set_result();
        co_await top;
        co_await b;
    });
}

TEST(CallGraph, GRPH_03_children_of_gather_and_shield_are_awaited_by_the_waiting_task) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        const Task<> child = create_task(innermost(gate), {.name = "child"});
        const Task<> gathers = create_task(
            [&]() -> Coro<> { co_await gather(child, gather(child, gate)); }, {.name = "gathers"});
        const Task<> shields =
            create_task([&]() -> Coro<> { co_await shield(child); }, {.name = "shields"});
        co_await sleep(0s);
        EXPECT_EQ(awaiters(capture_call_graph(child)), (Names{"gathers", "shields"}));
        EXPECT_EQ(awaiters(capture_call_graph(gate)), (Names{"child", "gathers"}));
        gate.set_result();
        co_await gathers;
        co_await shields;
    });
}

TEST(CallGraph, GRPH_03_children_of_a_task_group_are_awaited_by_its_parent) {
    testing::run([]() -> Coro<> {
        current_task().set_name("parent");
        Task<> child;
        co_await with(TaskGroup(), [&](TaskGroup& group) -> Coro<> {
            child = group.create_task(sleep(10s));
            EXPECT_EQ(awaiters(capture_call_graph(child)), Names{"parent"});
            get_running_loop().call_later(5s, [&] {
                const FutureCallGraph graph = capture_call_graph(child);
                EXPECT_EQ(awaiters(graph), Names{"parent"});
                EXPECT_EQ(names(graph.awaited_by.at(0).call_stack),
                          "aexit leave inside with_manager <lambda> call_it");
            });
            co_return;
        });
        EXPECT_EQ(awaiters(capture_call_graph(child)), Names());
    });
}

TEST(CallGraph, GRPH_04_a_plain_future_has_no_frames_but_awaiters) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        const Task<> a = create_task(innermost(gate), {.name = "a"});
        const Task<> b = create_task(middle(gate), {.name = "b"});
        gate.add_done_callback([](Future<>&) {});
        co_await sleep(0s);
        const FutureCallGraph graph = capture_call_graph(gate);
        EXPECT_TRUE(graph.call_stack.empty());
        EXPECT_EQ(awaiters(graph), (Names{"a", "b"}));
        gate.set_result();
        co_await a;
        co_await b;
    });
}

TEST(CallGraph, GRPH_05_an_edge_is_gone_when_the_wait_ends) {
    testing::run([]() -> Coro<> {
        const Task<> slow = create_task(sleep(10s));
        const Task<> impatient = create_task(
            [&]() -> Coro<> {
                (void)co_await as_outcome(wait_for(shield(slow), 1s));
                co_await sleep(5s);
            },
            {.name = "impatient"});
        co_await sleep(500ms);
        EXPECT_EQ(awaiters(capture_call_graph(slow)), Names{"impatient"});
        co_await sleep(1s);
        EXPECT_EQ(awaiters(capture_call_graph(slow)), Names());
        co_await impatient;
        co_await slow;
        EXPECT_EQ(awaiters(capture_call_graph(impatient)), Names());
    });
}

AsyncGenerator<int> waiting_numbers(Future<>& gate) {
    co_await gate;
    co_yield 1;
}

Coro<> takes_numbers(Future<>& gate) {
    auto numbers = waiting_numbers(gate);
    while (auto number = co_await numbers.next()) EXPECT_EQ(*number, 1);
}

TEST(CallGraph, GRPH_06_the_frames_of_generators_are_included) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        const Task<> task = create_task(takes_numbers(gate));
        co_await sleep(0s);
        const std::string text = format_call_graph(task);
        EXPECT_NE(text.find("waiting_numbers"), std::string::npos) << text;
        EXPECT_NE(text.find("takes_numbers"), std::string::npos) << text;
        gate.set_result();
        co_await task;
    });
}

TEST(CallGraph, GRPH_07_a_timeout_adds_no_node) {
    testing::run([]() -> Coro<> {
        const Task<> slow = create_task(sleep(10s));
        const Task<> waits =
            create_task([&]() -> Coro<> { co_await wait_for(slow, 60s); }, {.name = "waits"});
        co_await sleep(1s);
        const FutureCallGraph graph = capture_call_graph(slow);
        EXPECT_EQ(awaiters(graph), Names{"waits"});
        EXPECT_TRUE(graph.awaited_by.at(0).awaited_by.empty());
        co_await waits;
    });
}

TEST(CallGraph, GRPH_08_a_limit_keeps_the_outer_or_the_inner_frames) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        const Task<> task = create_task(outermost(gate));
        const Task<> waits = create_task(await_task(task), {.name = "waits"});
        co_await sleep(0s);
        const auto with_limit = [&](int limit) {
            const FutureCallGraph graph = capture_call_graph(task, {.limit = limit});
            EXPECT_EQ(awaiters(graph), Names{"waits"});
            return names(graph.call_stack);
        };
        EXPECT_EQ(with_limit(2), "middle outermost");
        EXPECT_EQ(with_limit(-2), "innermost middle");
        EXPECT_EQ(with_limit(0), "");
        EXPECT_EQ(with_limit(7), "innermost middle outermost");
        EXPECT_EQ(with_limit(-7), "innermost middle outermost");
        gate.set_result();
        co_await waits;
    });
}

template <class T>
concept HasCallGraph = requires(T t) { capture_call_graph(t); };
static_assert(HasCallGraph<Task<int>> && HasCallGraph<Future<>>);
static_assert(!HasCallGraph<int> && !HasCallGraph<std::string>, "GRPH_09: a type error");

TEST(CallGraph, GRPH_09_without_a_loop_it_throws_and_outside_a_task_there_is_none) {
    EXPECT_THROW((void)capture_call_graph(), std::logic_error);
    EXPECT_THROW((void)format_call_graph(), std::logic_error);
    testing::run([]() -> Coro<> {
        bool asked = false;
        get_running_loop().call_soon([&] {
            EXPECT_EQ(capture_call_graph(), std::nullopt);
            EXPECT_EQ(format_call_graph(), "");
            asked = true;
        });
        co_await sleep(0s);
        EXPECT_TRUE(asked);
    });
}

TEST(CallGraph, GRPH_10_the_text_names_tasks_and_indents_awaiters) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        const Task<> inner = create_task(innermost(gate), {.name = "inner"});
        const Task<> outer = create_task(await_task(inner), {.name = "outer"});
        co_await sleep(0s);
        char inner_id[32];
        char outer_id[32];
        std::snprintf(inner_id, sizeof inner_id, "id=%p", static_cast<void*>(&inner.core()));
        std::snprintf(outer_id, sizeof outer_id, "id=%p", static_cast<void*>(&outer.core()));
        const std::string expected = "* Task(name='inner', " + std::string(inner_id) +
                                     ")\n"
                                     "  + Call stack:\n"
                                     "  |   waiting for future\n"
                                     "  |   " +
                                     to_string(inner.get_stack().at(0)) +
                                     "\n"
                                     "  + Awaited by:\n"
                                     "    * Task(name='outer', " +
                                     outer_id +
                                     ")\n"
                                     "      + Call stack:\n"
                                     "      |   waiting for future\n"
                                     "      |   " +
                                     to_string(outer.get_stack().at(0)) + "\n";
        EXPECT_EQ(format_call_graph(inner), expected);
        EXPECT_EQ(printed([&](std::FILE* file) { print_call_graph(inner, {}, file); }), expected);
        EXPECT_EQ(format_call_graph(gate).find("* Future(id=0x"), 0u);
        gate.set_result();
        co_await outer;
    });
}

TEST(CallGraph, GRPH_02_a_circle_of_tasks_ends_where_it_closes) {
    testing::run([]() -> Coro<> {
        Task<> a;
        Task<> b;
        a = create_task([&]() -> Coro<> { co_await b; }, {.name = "a"});
        b = create_task([&]() -> Coro<> { co_await a; }, {.name = "b"});
        co_await sleep(0s);
        const FutureCallGraph graph = capture_call_graph(a);
        const FutureCallGraph& again = graph.awaited_by.at(0).awaited_by.at(0);
        EXPECT_EQ(again.future, a);
        EXPECT_TRUE(again.cut);
        EXPECT_NE(format_call_graph(graph).find("...\n"), std::string::npos);
        a.cancel();
        (void)co_await as_outcome(a);
        (void)co_await as_outcome(b);
    });
}

TEST(CallGraph, GRPH_02_a_long_chain_and_a_dense_graph_are_cut) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        std::vector<Task<>> chain{create_task(innermost(gate))};
        for (int i = 0; i < 2000; ++i) chain.push_back(create_task(await_task(chain.back())));
        // Each of a layer waits for all of the one below: 6^12 paths.
        std::vector<Task<>> layer{create_task(innermost(gate))};
        for (int i = 0; i < 12; ++i) {
            std::vector<Task<>> next;
            for (int j = 0; j < 6; ++j)
                next.push_back(create_task([layer]() -> Coro<> { co_await gather(layer); }));
            layer = std::move(next);
        }
        co_await sleep(0s);
        co_await sleep(0s);
        const FutureCallGraph graph = capture_call_graph(gate);
        std::size_t levels = 0;
        const FutureCallGraph* node = &graph;
        for (; !node->awaited_by.empty(); node = &node->awaited_by.front()) ++levels;
        EXPECT_EQ(levels, kMostGraphLevels);
        EXPECT_TRUE(node->cut);
        gate.set_result();
        co_await gather(chain.back(), gather(layer));
    });
}

}  // namespace
}  // namespace asyncio
