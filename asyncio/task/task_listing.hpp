// SPDX-License-Identifier: MIT
//
// What all tasks of a loop are doing: asyncio's `ps` and `pstree`, from inside the process.
//
//     loop.add_signal_handler(SIGUSR1, [] { asyncio::print_task_tree(); });
//
//     └── (T) Task-1
//         └── main  main.cpp:12
//             ├── (T) reader, waiting for read
//             │   └── session  wire.cpp:58
//             │       └── read_packet  wire.cpp:31
//             └── (T) ticker, waiting for sleep
//                 └── tick  main.cpp:7
//
// A tree begins at the tasks that nobody awaits. Below a task stand its coroutines, outermost
// first, and below the innermost the tasks it waits for. The table has a row for each task and
// awaiter. list_tasks() takes the data, the other functions only format: so a program may take
// it here and show it elsewhere.
//
// Threads: list_tasks() and the printing functions belong to the loop's thread; formatting to any.
#pragma once

#include <asyncio/coro/stack_frame.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace asyncio {

inline constexpr std::size_t kMostTreeLines = 10'000;
inline constexpr std::size_t kMostTreeLevels = 500;

struct TaskListing {
    std::uint64_t thread = 0;  // the system's number of it
    std::uintptr_t id = 0;
    std::string name = {};
    std::vector<StackFrame> call_stack = {};  // innermost first
    std::string waiting_for = {};             // what the innermost frame waits for, or empty
    std::vector<std::uintptr_t> awaited_by = {};
};

/// Tasks wait for each other in a circle, for ever: there is no tree.
class CycleFoundException : public std::logic_error {
  public:
    explicit CycleFoundException(std::vector<std::vector<std::string>> cycles);
    /// The tasks' names, each list ending where it began.
    const std::vector<std::vector<std::string>>& cycles() const noexcept { return cycles_; }

  private:
    std::vector<std::vector<std::string>> cycles_;
};

/// The tasks of `loop` (default: the running one) that are not done, oldest first.
std::vector<TaskListing> list_tasks();
std::vector<TaskListing> list_tasks(EventLoop& loop);

std::string format_task_table(std::span<const TaskListing> tasks);
/// Throws CycleFoundException.
std::string format_task_tree(std::span<const TaskListing> tasks);

/// Of the running loop. A circle is printed in place of the tree.
void print_task_table(std::FILE* file = stderr);
void print_task_tree(std::FILE* file = stderr);

}  // namespace asyncio
