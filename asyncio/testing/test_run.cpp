// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/coro/error_trace.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/task/wait.hpp>
#include <asyncio/testing/descriptors.hpp>
#include <asyncio/testing/test_run.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <cstdio>
#include <memory>

namespace asyncio::testing {

namespace {

constexpr Duration kSettleStep = std::chrono::milliseconds(1);
/// How long a step that was cancelled for its slowness may take to give way.
constexpr Duration kGiveWay = std::chrono::seconds(1);

std::string in_seconds(Duration duration) {
    char text[64];
    std::snprintf(text, sizeof text, "%g s", std::chrono::duration<double>(duration).count());
    return text;
}

/// True for what ends a step without being news.
bool was_told_already(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const AssertionFailed&) {
        return true;
    } catch (const TestSkipped&) {
        return true;
    } catch (...) {
        return false;
    }
}

/// Every task of the running loop but this one.
std::string where_tasks_stand() {
    std::vector<TaskListing> tasks = list_tasks();
    const auto own = reinterpret_cast<std::uintptr_t>(&current_task().core());
    std::erase_if(tasks, [own](const TaskListing& task) { return task.id == own; });
    try {
        return format_task_tree(tasks);
    } catch (const CycleFoundException&) {
        return format_task_table(tasks);
    }
}

class TestRun {
  public:
    TestRun(TestSteps steps, TestOptions options) noexcept
        : steps_(std::move(steps)), options_(options) {}

    std::vector<std::string> run() {
        const OpenDescriptors before;
        try {
            run_on_a_loop();
        } catch (...) {
            fault("the test's loop failed: " + describe(std::current_exception()));
        }
        if (!options_.check_leaks) return std::move(faults_);
        for (const std::string& left : OpenDescriptors::since(before))
            fault("the test left descriptor " + left + " open");
        return std::move(faults_);
    }

  private:
    static std::unique_ptr<EventLoop> make_loop(Backend backend, bool virtual_time) {
        return virtual_time ? make_virtual_loop(backend) : std::make_unique<EventLoop>(backend);
    }

    void run_on_a_loop() {
        static thread_local const TestOptions* wanted = nullptr;  // a factory is a plain function
        wanted = &options_;
        Runner runner({.debug = options_.debug, .loop_factory = [] {
                           return make_loop(wanted->backend, wanted->virtual_time);
                       }});
        runner.get_loop().set_exception_handler(
            [this](EventLoop&, const ExceptionContext& context) { reported(context); });
        runner.run(all_steps());
        runner.close();
    }

    Coro<> all_steps() {
        const bool is_set_up = co_await step("the set-up", steps_.set_up);
        if (is_set_up && !(steps_.failed && steps_.failed())) {
            (void)co_await step("the test", steps_.body);
        }
        (void)co_await step("the tear-down", steps_.tear_down);
        if (options_.check_leaks) co_await look_for_tasks();
    }

    /// True if it ended well.
    Coro<bool> step(const char* name, TestStep& test_step) {
        if (!test_step) co_return true;
        Task<> task = test_step.start();
        task.set_name(name);
        const std::vector<Task<>> tasks{task};
        (void)co_await wait(tasks, {.timeout = options_.timeout});
        if (!task.done()) {
            fault(std::string(name) + " took longer than " + in_seconds(options_.timeout) +
                  "; its tasks:\n" + where_tasks_stand());
            task.cancel("the test took too long");
            (void)co_await wait(tasks, {.timeout = kGiveWay});
            if (!task.done()) fault(std::string(name) + " did not give way to its cancellation");
            co_return false;
        }
        co_return task.cancelled() ? cancelled(name) : ended(name, task.exception());
    }

    bool cancelled(const char* name) {
        fault(std::string(name) + " was cancelled");
        return false;
    }

    bool ended(const char* name, const std::exception_ptr& error) {
        if (!error) return true;
        if (was_told_already(error)) return false;
        std::string text = std::string(name) + " threw " + describe(error);
        const std::vector<StackFrame> stack = async_stack_of(error);
        if (!stack.empty()) text += "\n" + format_stack(stack);
        fault(std::move(text));
        return false;
    }

    Coro<> look_for_tasks() {
        for (Duration waited{}; all_tasks().size() > 1; waited += kSettleStep) {
            if (waited >= kSettle) {
                fault("the test left tasks running:\n" + where_tasks_stand());
                co_return;
            }
            co_await sleep(kSettleStep);
        }
    }

    void reported(const ExceptionContext& context) {
        std::string text = context.message;
        if (context.exception) text += ": " + describe(context.exception);
        if (!context.task.empty()) text += " (task " + context.task + ")";
        fault(std::move(text));
    }

    void fault(std::string text) { faults_.push_back(std::move(text)); }

    TestSteps steps_;
    const TestOptions options_;
    std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> run_test(TestSteps steps, TestOptions options) {
    return TestRun(std::move(steps), options).run();
}

}  // namespace asyncio::testing
