// SPDX-License-Identifier: MIT
//
// The stack of a task, and who awaits a future: what Task::print_stack(), the call graph and the
// task listings are made of.
#pragma once

#include <asyncio/coro/stack_frame.hpp>
#include <asyncio/task/task_core.hpp>

#include <cstdio>
#include <source_location>
#include <string>
#include <vector>

namespace asyncio::task {

/// The frames of a task, innermost first; none when it is done. `here` counts only if the task is
/// being stepped now: that is where it stands.
std::vector<StackFrame> stack_of(const TaskCore& task, const std::source_location& here);

/// Task::get_stack() and print_stack(): outermost first, the innermost `limit` frames. Of a task
/// that failed: those its error passed through.
std::vector<StackFrame> get_stack(const TaskCore& task, std::size_t limit,
                                  const std::source_location& here);
void print_stack(const TaskCore& task, std::size_t limit, std::FILE* file,
                 const std::source_location& here);

/// The tasks that wait for `future`, directly or through a gather, shield or the like, in the order
/// they came. Futures in between that nobody awaits are left out.
std::vector<FutureCore*> awaiters_of(FutureCore& future);
bool is_awaited(FutureCore& future);

}  // namespace asyncio::task
