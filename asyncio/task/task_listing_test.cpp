// SPDX-License-Identifier: MIT
#include <asyncio/task/gather.hpp>
#include <asyncio/task/stack_fixture_test.hpp>
#include <asyncio/task/task_group.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/task/with.hpp>

#include <algorithm>
#include <source_location>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

StackFrame frame(const char* function, std::uint32_t line) {
    return {.function = function, .file = "f.cpp", .line = line};
}

TEST(TaskListing, TOOL_01_the_table_has_a_row_for_each_task_and_awaiter) {
    const std::vector<TaskListing> tasks{
        {.thread = 7,
         .id = 0x10,
         .name = "main",
         .call_stack = {frame("Coro<> wait_all()", 3), frame("Coro<> run()", 9)}},
        {.thread = 7,
         .id = 0x20,
         .name = "child",
         .call_stack = {frame("Coro<> work()", 5)},
         .awaited_by = {0x10}}};
    EXPECT_EQ(format_task_table(tasks),
              "thread  task id  task name  coroutine stack  awaiter chain    awaiter name  "
              "awaiter id\n"
              "7       0x10     main       wait_all -> run\n"
              "7       0x20     child      work             wait_all -> run  main          0x10\n");
}

TEST(TaskListing, TOOL_01_of_a_running_loop) {
    testing::run([]() -> Coro<> {
        current_task().set_name("main");
        const Task<> child = create_task(outermost(Future<>()), {.name = "child"});
        const auto waits = create_task(gather(child), {.name = "waits"});
        co_await sleep(0s);
        const std::vector<TaskListing> tasks = list_tasks();
        EXPECT_EQ(tasks.size(), 3u);
        EXPECT_EQ(tasks.at(0).name, "main");
        EXPECT_GT(tasks.at(0).thread, 0u);
        EXPECT_EQ(tasks.at(1).name, "child");
        EXPECT_EQ(tasks.at(1).waiting_for, "future");
        EXPECT_EQ(names(tasks.at(1).call_stack), "innermost middle outermost");
        EXPECT_EQ(tasks.at(1).awaited_by, std::vector<std::uintptr_t>{tasks.at(2).id});
        const std::string table = printed([](std::FILE* file) { print_task_table(file); });
        EXPECT_NE(table.find("innermost -> "), std::string::npos) << table;
        const std::string tree = printed([](std::FILE* file) { print_task_tree(file); });
        EXPECT_NE(tree.find("(T) child, waiting for future"), std::string::npos) << tree;
        waits.cancel();
        (void)co_await as_outcome(waits);
    });
}

TEST(TaskListing, DBG_05_a_task_knows_the_users_line_that_created_it) {
    testing::run([]() -> Coro<> {
        const auto work = [](int, std::string) -> Coro<> { co_return; };
        const auto nothing = []() -> Coro<> { co_return; };
        EventLoop& loop = get_running_loop();
        const std::uint32_t line = std::source_location::current().line();
        const Task<> with_arguments = create_task(work, 1, "text");
        const Task<> without = create_task(nothing);
        const Task<> with_options = create_task(nothing, {.name = "n"});
        const Task<> of_coroutine = create_task(work(1, ""), {.name = "n"});
        const Task<> of_loop = loop.create_task(nothing, {.name = "n"});
        std::uint32_t expected = line;
        for (const Task<>& task : {with_arguments, without, with_options, of_coroutine, of_loop}) {
            EXPECT_EQ(task.task().created().line(), ++expected);
            EXPECT_NE(task.task().description().find("task_listing_test.cpp"), std::string::npos);
        }
        co_await with(TaskGroup(), [&](TaskGroup& group) -> Coro<> {
            const std::uint32_t above = std::source_location::current().line();
            const Task<> a = group.create_task(work, 1, "text");
            const Task<> b = group.create_task(nothing, {.name = "n"});
            EXPECT_EQ(a.task().created().line(), above + 1);
            EXPECT_EQ(b.task().created().line(), above + 2);
            co_return;
        });
    });
}

TEST(TaskListing, TOOL_02_the_tree_begins_at_what_nobody_awaits) {
    const std::vector<TaskListing> tasks{
        {.id = 1, .name = "a", .call_stack = {frame("in", 2), frame("out", 1)}},
        {.id = 2, .name = "b", .call_stack = {frame("loop", 4)}, .waiting_for = "sleep"},
        {.id = 3, .name = "shared", .awaited_by = {1, 2}},
        {.id = 4, .name = "last", .awaited_by = {1}}};
    EXPECT_EQ(format_task_tree(tasks),
              "├── (T) a\n"
              "│   └── out  f.cpp:1\n"
              "│       └── in  f.cpp:2\n"
              "│           ├── (T) shared\n"
              "│           └── (T) last\n"
              "└── (T) b, waiting for sleep\n"
              "    └── loop  f.cpp:4\n"
              "        └── (T) shared\n");
}

TEST(TaskListing, TOOL_03_frames_under_one_parent_stand_there_once) {
    std::vector<TaskListing> tasks{
        {.id = 1, .name = "parent", .call_stack = {frame("in", 2), frame("out", 1)}}};
    for (std::uintptr_t id = 2; id < 12; ++id) tasks.push_back({.id = id, .awaited_by = {1}});
    const std::string tree = format_task_tree(tasks);
    EXPECT_EQ(tree.find("in  f.cpp:2"), tree.rfind("in  f.cpp:2"));
    EXPECT_EQ(std::count(tree.begin(), tree.end(), '\n'), 13);
}

TEST(TaskListing, TOOL_04_circles_are_all_reported_and_no_tree_is_drawn) {
    const std::vector<TaskListing> tasks{{.id = 1, .name = "a", .awaited_by = {2}},
                                         {.id = 2, .name = "b", .awaited_by = {1}},
                                         {.id = 3, .name = "self", .awaited_by = {3}},
                                         {.id = 4, .name = "free"}};
    try {
        FAIL() << format_task_tree(tasks);
    } catch (const CycleFoundException& e) {
        ASSERT_EQ(e.cycles().size(), 2u);
        EXPECT_EQ(e.cycles().at(0), (std::vector<std::string>{"a", "b", "a"}));
        EXPECT_EQ(e.cycles().at(1), (std::vector<std::string>{"self", "self"}));
        EXPECT_NE(std::string(e.what()).find("a -> b -> a"), std::string::npos);
    }
}

TEST(TaskListing, TOOL_04_tasks_that_wait_for_each_other_are_printed_as_a_circle) {
    testing::run([]() -> Coro<> {
        Task<> a;
        Task<> b;
        a = create_task([&]() -> Coro<> { co_await b; }, {.name = "a"});
        b = create_task([&]() -> Coro<> { co_await a; }, {.name = "b"});
        co_await sleep(0s);
        const std::string text = printed([](std::FILE* file) { print_task_tree(file); });
        EXPECT_NE(text.find("circle"), std::string::npos) << text;
        a.cancel();
        (void)co_await as_outcome(a);
        (void)co_await as_outcome(b);
    });
}

TEST(TaskListing, TOOL_05_nothing_and_the_unknown_are_tolerated) {
    EXPECT_EQ(format_task_table({}), "");
    EXPECT_EQ(format_task_tree({}), "");
    const std::vector<TaskListing> tasks{{.id = 0x30, .awaited_by = {0x99}}};
    EXPECT_EQ(format_task_tree(tasks), "└── (T) 0x30\n");
    EXPECT_NE(format_task_table(tasks).find("unknown       0x99"), std::string::npos);
}

TEST(TaskListing, TOOL_02_a_long_chain_and_a_dense_graph_are_cut) {
    std::vector<TaskListing> chain;
    for (std::uintptr_t id = 1; id <= 100'000; ++id)
        chain.push_back({.id = id, .awaited_by = {id + 1}});
    EXPECT_NE(format_task_tree(chain).find("└── ..."), std::string::npos);
    std::vector<TaskListing> dense;  // each layer of 10 waits for all of the next
    for (std::uintptr_t id = 10; id < 100; ++id) {
        dense.push_back({.id = id});
        for (std::uintptr_t above = id / 10 * 10 - 10; above < id / 10 * 10; ++above)
            dense.back().awaited_by.push_back(above);
    }
    const std::string tree = format_task_tree(dense);
    EXPECT_LT(static_cast<std::size_t>(std::count(tree.begin(), tree.end(), '\n')),
              kMostTreeLines + kMostTreeLevels);
}

}  // namespace
}  // namespace asyncio
