// SPDX-License-Identifier: MIT
#include <asyncio/coro/error_trace.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/shield.hpp>
#include <asyncio/task/stack_fixture_test.hpp>
#include <asyncio/task/task_stack.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/task/with.hpp>
#include <asyncio/task/with_cleanup.hpp>

#include <memory>
#include <string>
#include <vector>

namespace asyncio {
namespace {

using namespace task_tests;

// --- where a task stands ----------------------------------------------------------------------

TEST(TaskStack, TASK_23_a_suspended_task_shows_its_coroutines_outermost_first) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        const Task<> task = create_task(outermost(gate));
        EXPECT_EQ(names(task.get_stack()), "outermost");  // not begun
        co_await sleep(0s);
        EXPECT_EQ(names(task.get_stack()), "outermost middle innermost");
        EXPECT_EQ(names(task.get_stack(2)), "middle innermost");
        EXPECT_EQ(names(AnyTask(task).get_stack(0)), "");
        for (const StackFrame& frame : task.get_stack()) {
            EXPECT_NE(std::string(frame.file).find("stack_fixture_test.hpp"), std::string::npos);
            EXPECT_TRUE(frame.exact);
        }
        gate.set_result();
        co_await task;
        EXPECT_EQ(names(task.get_stack()), "");  // finished
        const Task<> cancelled = create_task(outermost(Future<>()));
        cancelled.cancel();
        (void)co_await as_outcome(cancelled);
        EXPECT_EQ(names(cancelled.get_stack()), "");
    });
}

TEST(TaskStack, TASK_23_each_frame_stands_at_the_line_of_its_await) {
    testing::run([]() -> Coro<> {
        std::uint32_t first = 0;
        const auto work = [&]() -> Coro<> {
            first = std::source_location::current().line();
            co_await sleep(1s);
            co_await sleep(1s);
        };
        const Task<> task = create_task(work());
        co_await sleep(500ms);
        EXPECT_EQ(task.get_stack().at(0).line, first + 1);
        co_await sleep(1s);
        EXPECT_EQ(task.get_stack().at(0).line, first + 2);
        co_await task;
    });
}

TEST(TaskStack, TASK_23_the_running_task_stands_where_it_asks) {
    testing::run([]() -> Coro<> {
        co_await sleep(0s);
        const std::uint32_t line = std::source_location::current().line();
        const std::vector<StackFrame> stack = current_task().get_stack();
        EXPECT_EQ(names(stack), "call_it <lambda>");  // the library's frame that keeps the lambda
        EXPECT_EQ(stack.back().line, line + 1);
        EXPECT_TRUE(stack.back().exact);
        const auto plain = [] { return current_task().get_stack(); };
        const std::vector<StackFrame> deeper = plain();
        EXPECT_EQ(deeper.size(), 3u);
        EXPECT_FALSE(deeper.back().is_coroutine);
        EXPECT_FALSE(deeper.at(1).exact);
    });
}

TEST(TaskStack, TASK_23_printing_says_which_task_and_which_lines) {
    testing::run([]() -> Coro<> {
        Future<> gate;
        const Task<> task = create_task(middle(gate), {.name = "printer"});
        co_await sleep(0s);
        const std::string text =
            printed([&](std::FILE* file) { task.print_stack(kWholeStack, file); });
        EXPECT_EQ(text.find("Stack for <Task pending name='printer'"), 0u) << text;
        const std::size_t outer = text.find("in async asyncio::task_tests::middle()\n");
        const std::size_t inner = text.find("in async asyncio::task_tests::innermost()\n");
        EXPECT_LT(outer, inner) << text;
        gate.set_result();
        co_await task;
        EXPECT_EQ(printed([&](std::FILE* file) {
                      task.print_stack(kWholeStack, file);
                  }).find("No stack for <Task finished"),
                  0u);
    });
}

// --- what an error passed through -------------------------------------------------------------

Coro<int> thrower(Duration delay) {
    co_await sleep(delay);
    throw std::runtime_error("boom");
}
Coro<int> passer(Duration delay) { co_return co_await thrower(delay); }
Coro<int> entrance(Duration delay) { co_return 1 + co_await passer(delay); }

TEST(TaskStack, TASK_23_of_a_failed_task_are_the_frames_of_the_exception) {
    testing::run([]() -> Coro<> {
        const Task<int> task = create_task(entrance(1s));
        const Outcome<int> outcome = co_await as_outcome(task);
        EXPECT_EQ(error_of(outcome), "std::runtime_error: boom");
        const std::vector<StackFrame> stack = task.get_stack();
        EXPECT_EQ(names(stack), "entrance passer thrower");
        EXPECT_TRUE(stack.at(0).exact);
        EXPECT_TRUE(stack.at(1).exact);
        EXPECT_FALSE(stack.at(2).exact);  // it threw somewhere behind its last await
        const std::string text =
            printed([&](std::FILE* file) { task.print_stack(kWholeStack, file); });
        EXPECT_EQ(text.find("Traceback for <Task failed"), 0u) << text;
        EXPECT_NE(text.find("or later, in async asyncio::thrower()\nstd::runtime_error: boom\n"),
                  std::string::npos)
            << text;
    });
}

TEST(AsyncStackOf, where_it_is_caught_the_coroutines_below_are_known) {
    testing::run([]() -> Coro<> {
        std::string seen;
        try {
            co_await entrance(1s);
        } catch (const std::exception&) {
            seen = names(async_stack_of(std::current_exception()));
        }
        EXPECT_EQ(seen, "entrance passer thrower");
        EXPECT_TRUE(async_stack_of(nullptr).empty());
        EXPECT_TRUE(async_stack_of(std::make_exception_ptr(1)).empty());
    });
}

TEST(AsyncStackOf, an_error_takes_its_stack_from_task_to_task) {
    testing::run([]() -> Coro<> {
        const auto outer = [](Task<int> inner) -> Coro<int> { co_return co_await inner; };
        const Task<int> inner = create_task(passer(1s));
        const Task<int> direct = create_task(outer(inner));
        const Task<> through = create_task([&]() -> Coro<> { co_await gather(shield(inner)); });
        (void)co_await as_outcome(through);
        (void)co_await as_outcome(direct);
        EXPECT_EQ(names(direct.get_stack()), "<lambda> passer thrower");
        EXPECT_EQ(names(through.get_stack()), "call_it <lambda> passer thrower");
        EXPECT_EQ(names(async_stack_of(inner.exception())), "passer thrower");
    });
}

TEST(AsyncStackOf, an_error_that_waits_for_a_clean_up_keeps_its_stack) {
    testing::run([]() -> Coro<> {
        const auto slowly = []() -> Coro<> {
            (void)co_await as_outcome(fail_later("another", 5s));
            co_await sleep(10s);
        };
        const Task<int> cleaned = create_task(with_cleanup(entrance(1s), slowly));
        const Task<int> limited = create_task(wait_for(entrance(1s), 5s));
        (void)co_await as_outcome(cleaned);
        EXPECT_EQ(names(cleaned.get_stack()), "clean_up_after entrance passer thrower");
        EXPECT_EQ(names(limited.get_stack()), "wait_within entrance passer thrower");
        (void)limited.exception();
    });
}

TEST(AsyncStackOf, an_error_that_waits_for_a_manager_keeps_its_stack) {
    struct SlowExit {
        Coro<> aenter() { co_return; }
        Coro<> aexit(std::exception_ptr) { co_await sleep(10s); }
    };
    testing::run([]() -> Coro<> {
        const auto entrance_now = []() -> Coro<int> { co_return co_await entrance(1s); };
        const Task<int> task = create_task(with(SlowExit(), entrance_now));
        (void)co_await as_outcome(task);
        EXPECT_EQ(names(task.get_stack()), "with_manager inside <lambda> entrance passer thrower");
    });
}

TEST(AsyncStackOf, a_deep_stack_is_cut_in_the_middle) {
    testing::run([]() -> Coro<> {
        struct Deep {
            static Coro<int> dive(int depth) {
                if (depth == 0) co_return co_await thrower(1s);
                co_return co_await dive(depth - 1);
            }
        };
        const Task<int> task = create_task(Deep::dive(100'000));
        (void)co_await as_outcome(task);
        const std::vector<StackFrame> stack = task.get_stack();
        EXPECT_EQ(stack.size(), coro::kMostTraceFrames);
        EXPECT_EQ(stack.front().left_out, 100'002 - coro::kMostTraceFrames);
        EXPECT_NE(format_stack(stack).find("... 99902 more ..."), std::string::npos);
    });
}

TEST(AsyncStackOf, a_cancellation_has_none) {
    testing::run([]() -> Coro<> {
        std::size_t frames = 1;
        const Task<> task = create_task([&]() -> Coro<> {
            try {
                co_await outermost(Future<>());
            } catch (const CancelledError&) {
                frames = async_stack_of(std::current_exception()).size();
                throw;
            }
        });
        co_await sleep(0s);
        task.cancel();
        (void)co_await as_outcome(task);
        EXPECT_EQ(frames, 0u);
        EXPECT_TRUE(task.get_stack().empty());
    });
}

TEST(AsyncStackOf, no_exception_is_held_beyond_the_iteration) {
    struct Heavy {
        std::shared_ptr<int> load;
    };
    const auto load = std::make_shared<int>(0);
    const auto fail = [](std::shared_ptr<int> p) -> Coro<> {
        throw Heavy{std::move(p)};
        co_return;
    };
    testing::run([&]() -> Coro<> {
        for (std::size_t i = 0; i < 2 * coro::kMostErrorTraces; ++i) {
            (void)co_await as_outcome(fail(load));
            EXPECT_LE(load.use_count(), 1 + static_cast<long>(coro::kMostErrorTraces));
        }
        co_await sleep(0s);
        EXPECT_EQ(load.use_count(), 1);
        (void)co_await as_outcome(fail(load));
    });
    EXPECT_EQ(load.use_count(), 1);  // nor beyond the loop
}

TEST(AsyncStackOf, main_knows_it_too_when_run_throws) {
    std::string seen;
    try {
        testing::run(entrance(1s));
    } catch (const std::runtime_error&) {
        seen = names(async_stack_of(std::current_exception()));
    }
    EXPECT_EQ(seen, "entrance passer thrower");
}

// --- in reports -----------------------------------------------------------------------------

TEST(TaskStack, EXC_07_an_error_nobody_took_is_reported_with_its_stack_root_first) {
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    loop->run_until_complete([]() -> Coro<> {
        (void)create_task(entrance(1s));
        co_await sleep(2s);
    });
    ASSERT_EQ(errors.messages(), Events{"Task exception was never retrieved"});
    const std::string& stack = errors.reports().at(0).call_stack;
    const std::size_t first = stack.find("in async asyncio::entrance()\n");
    const std::size_t second = stack.find("in async asyncio::passer()\n");
    const std::size_t third = stack.find("in async asyncio::thrower()\n");
    EXPECT_LT(first, second) << stack;
    EXPECT_LT(second, third) << stack;
    EXPECT_NE(third, std::string::npos) << stack;
    EXPECT_NE(to_string(errors.reports().at(0))
                  .find("\n  call_stack (most recent call last):\n    "
                        "File \""),
              std::string::npos);
    loop->close();
}

TEST(TaskStack, EXC_09_a_pending_task_destroyed_is_reported_with_where_it_stood) {
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    loop->run_until_complete([]() -> Coro<> {
        (void)create_task(outermost(Future<>()));
        co_await sleep(0s);
    });
    loop->close();
    ASSERT_EQ(errors.messages(), Events{"Task was destroyed but it is pending!"});
    const std::string& stack = errors.reports().at(0).call_stack;
    EXPECT_LT(stack.find("asyncio::task_tests::outermost()"),
              stack.find("asyncio::task_tests::innermost()"))
        << stack;
}

TEST(TaskStack, EXC_07_a_callback_that_lets_a_tasks_error_through_reports_its_stack) {
    auto loop = testing::make_virtual_loop();
    testing::ErrorLog errors(*loop);
    loop->run_until_complete([]() -> Coro<> {
        const Task<int> task = create_task(entrance(1s));
        task.add_done_callback([](Task<int>& t) { (void)t.result(); });
        co_await sleep(2s);
    });
    ASSERT_EQ(errors.messages(), Events{"Exception in callback"});
    EXPECT_NE(errors.reports().at(0).call_stack.find("asyncio::thrower()"), std::string::npos);
    loop->close();
}

}  // namespace
}  // namespace asyncio
