// SPDX-License-Identifier: MIT
#include <asyncio/task/task_stack.hpp>

#include <algorithm>
#include <unordered_set>

namespace asyncio::task {

std::vector<StackFrame> stack_of(const TaskCore& task, const std::source_location& here) {
    const bool running = task.core().current_driver == &task;
    return coro::stack_of(task, running ? &here : nullptr);
}

std::vector<StackFrame> get_stack(const TaskCore& task, std::size_t limit,
                                  const std::source_location& here) {
    const coro::ErrorTrace* trace = task.error_trace();
    std::vector<StackFrame> frames = trace != nullptr ? trace->frames : stack_of(task, here);
    if (frames.size() > limit) frames.resize(limit);
    std::reverse(frames.begin(), frames.end());
    return frames;
}

void print_stack(const TaskCore& task, std::size_t limit, std::FILE* file,
                 const std::source_location& here) {
    const std::vector<StackFrame> frames = get_stack(task, limit, here);
    std::string text = task.error_trace() != nullptr ? "Traceback for "
                       : frames.empty()              ? "No stack for "
                                                     : "Stack for ";
    text += task.description() + (frames.empty() ? "\n" : " (most recent call last):\n");
    text += format_stack(frames);
    if (const coro::ErrorTrace* trace = task.error_trace()) text += describe(trace->error) + "\n";
    std::fputs(text.c_str(), file);
}

std::vector<FutureCore*> awaiters_of(FutureCore& future) {
    // A loop, not a recursion: gathers may be nested as deep as one likes.
    std::vector<FutureCore*> tasks;
    std::vector<FutureCore*> between{&future};
    std::unordered_set<const FutureCore*> seen{&future};
    for (std::size_t i = 0; i < between.size(); ++i) {
        between[i]->for_each_waiter([&](const DoneWaiter& waiter) {
            FutureCore* awaiter = waiter.awaiter();
            if (awaiter == nullptr || !seen.insert(awaiter).second) return;
            (awaiter->driver() != nullptr ? tasks : between).push_back(awaiter);
        });
    }
    return tasks;
}

bool is_awaited(FutureCore& future) { return !awaiters_of(future).empty(); }

}  // namespace asyncio::task
