// SPDX-License-Identifier: MIT
#include <asyncio/task/task.hpp>

namespace asyncio {

void eager_task_factory(const AnyTask&, TaskOptions& options) noexcept {
    if (!options.eager_start) options.eager_start = true;
}

std::vector<StackFrame> AnyTask::get_stack(std::size_t limit,
                                           const std::source_location& here) const {
    return task::get_stack(task(), limit, here);
}

AnyTask current_task() {
    return AnyTask(task::TaskCore::from(get_running_loop().core().current_driver));
}

std::vector<AnyTask> all_tasks() { return all_tasks(get_running_loop()); }

std::vector<AnyTask> all_tasks(EventLoop& loop) {
    std::vector<AnyTask> tasks;
    loop.members().for_each([&](loop::Member& member) {
        if (coro::Driver* driver = member.driver())
            tasks.push_back(AnyTask(task::TaskCore::from(driver)));
    });
    return tasks;
}

}  // namespace asyncio
