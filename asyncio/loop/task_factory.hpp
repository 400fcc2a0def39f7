// SPDX-License-Identifier: MIT
//
// TaskFactory: what a loop tells of each new task; EventLoop::set_task_factory().
//
//     loop.set_task_factory(asyncio::eager_task_factory);
//     loop.set_task_factory([&](const asyncio::AnyTask& task, asyncio::TaskOptions&) { ++created;
//     });
//
// In `loop`, which only keeps it: the types are those of `task`.
#pragma once

#include <asyncio/base/unique_function.hpp>

namespace asyncio {

class AnyTask;
struct TaskOptions;

/// Told of each new task before it starts, and of its options, which it may change: start eagerly
/// or not, in which context. The name is set already; set_name() changes it. What it throws reaches
/// whoever creates the task, which then does not start.
using TaskFactory = UniqueFunction<void(const AnyTask&, TaskOptions&)>;

}  // namespace asyncio
