// SPDX-License-Identifier: MIT
//
// Who waits for whom: the stack of a task, and of the tasks that await it, recursively.
//
//     asyncio::print_call_graph();                  // of the current task, to standard error
//     asyncio::print_call_graph(task);
//
//     * Task(name='reader', id=0x5581c0)
//       + Call stack:
//       |   waiting for read
//       |   File "wire.cpp", line 31, in async read_packet()
//       |   File "wire.cpp", line 58, in async session()
//       + Awaited by:
//         * Task(name='Task-1', id=0x5580a0)
//           + Call stack:
//           |   waiting for future
//           |   File "main.cpp", line 12, in async main()
//
// An edge is there while the wait is: from the task that awaits a future, gather, shield, wait or
// task group to what that waits for. Nothing is kept for it: the edges are the lists of waiters
// which futures have anyway, read when somebody asks. Futures in between (a gather, a shield) are
// left out: their children are awaited by the tasks that wait for them.
//
// A graph may be a circle, or deep: a future that stands above itself, or more than
// kMostGraphLevels up, is there without its awaiters, and says so (`cut`); so does what comes after
// kMostGraphNodes.
//
// Threads: the loop's. Handlers of signals and callbacks may ask, too.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/coro/stack_frame.hpp>
#include <asyncio/task/task.hpp>

#include <cstdio>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

namespace asyncio {

inline constexpr std::size_t kMostGraphLevels = 500;
inline constexpr std::size_t kMostGraphNodes = 10'000;

struct FutureCallGraph {
    AnyFuture future;
    std::vector<StackFrame> call_stack = {};  // innermost first; empty for a plain future
    std::string waiting_for = {};             // what the innermost frame waits for, or empty
    std::vector<FutureCallGraph> awaited_by = {};
    bool cut = false;  // its awaiters are not listed
};

struct CallGraphOptions {
    /// Of each stack: > 0 the frames nearest the root, < 0 the innermost, 0 none. Default: all.
    Option<int> limit = {};
};

/// The graph of `future`. `here` is where its task stands if it is the current one.
FutureCallGraph capture_call_graph(
    const AnyFuture& future, CallGraphOptions options = {},
    const std::source_location& here = std::source_location::current());

/// The graph of the current task; nullopt outside a task, std::logic_error if no loop runs.
std::optional<FutureCallGraph> capture_call_graph(
    CallGraphOptions options = {},
    const std::source_location& here = std::source_location::current());

std::string format_call_graph(const FutureCallGraph& graph);
std::string format_call_graph(const AnyFuture& future, CallGraphOptions options = {},
                              const std::source_location& here = std::source_location::current());
/// Empty outside a task.
std::string format_call_graph(CallGraphOptions options = {},
                              const std::source_location& here = std::source_location::current());

void print_call_graph(const AnyFuture& future, CallGraphOptions options = {},
                      std::FILE* file = stderr,
                      const std::source_location& here = std::source_location::current());
void print_call_graph(CallGraphOptions options = {}, std::FILE* file = stderr,
                      const std::source_location& here = std::source_location::current());

}  // namespace asyncio
