// SPDX-License-Identifier: MIT
#include <asyncio/task/call_graph.hpp>
#include <asyncio/task/task_stack.hpp>

#include <algorithm>
#include <cinttypes>

namespace asyncio {

namespace {

using task::FutureCore;

class Capture {
  public:
    Capture(CallGraphOptions options, const std::source_location& here) noexcept
        : options_(options), here_(here) {}

    FutureCallGraph of(FutureCore& future) {
        FutureCallGraph graph{.future = AnyFuture(Ref<FutureCore>(&future))};
        if (coro::Driver* driver = future.driver()) {
            graph.call_stack = task::stack_of(*task::TaskCore::from(driver), here_);
            cut_to_limit(graph.call_stack);
            if (driver->waiting_for() != nullptr) graph.waiting_for = driver->waiting_for()->what();
        }
        if (path_.size() >= kMostGraphLevels || is_on_path(future)) {
            graph.cut = task::is_awaited(future);
            return graph;
        }
        path_.push_back(&future);
        for (FutureCore* awaiter : task::awaiters_of(future)) {
            graph.cut = ++nodes_ > kMostGraphNodes;
            if (graph.cut) break;
            graph.awaited_by.push_back(of(*awaiter));
        }
        path_.pop_back();
        return graph;
    }

  private:
    bool is_on_path(const FutureCore& future) const {
        return std::find(path_.begin(), path_.end(), &future) != path_.end();
    }
    void cut_to_limit(std::vector<StackFrame>& frames) const {
        if (!options_.limit) return;
        const std::ptrdiff_t limit = *options_.limit;
        const auto size = static_cast<std::ptrdiff_t>(frames.size());
        if (std::abs(limit) >= size) return;
        if (limit >= 0)
            frames.erase(frames.begin(), frames.end() - limit);
        else
            frames.resize(static_cast<std::size_t>(-limit));
    }

    CallGraphOptions options_;
    const std::source_location& here_;
    std::vector<const FutureCore*> path_;
    std::size_t nodes_ = 1;
};

std::string node_line(const AnyFuture& future) {
    char id[2 + 16 + 1];
    std::snprintf(id, sizeof id, "0x%" PRIxPTR, reinterpret_cast<std::uintptr_t>(&future.core()));
    coro::Driver* driver = future.core().driver();
    if (driver == nullptr) return std::string("* Future(id=") + id + ")\n";
    return "* Task(name='" + task::TaskCore::from(driver)->name() + "', id=" + id + ")\n";
}

void format(const FutureCallGraph& graph, const std::string& indent, std::string& text) {
    text += indent + node_line(graph.future);
    if (!graph.call_stack.empty() || !graph.waiting_for.empty()) {
        text += indent + "  + Call stack:\n";
        if (!graph.waiting_for.empty())
            text += indent + "  |   waiting for " + graph.waiting_for + "\n";
        text += format_stack(graph.call_stack, indent + "  |   ");
    }
    if (graph.awaited_by.empty() && !graph.cut) return;
    text += indent + "  + Awaited by:\n";
    for (const FutureCallGraph& awaiter : graph.awaited_by) format(awaiter, indent + "    ", text);
    if (graph.cut) text += indent + "    ...\n";
}

}  // namespace

FutureCallGraph capture_call_graph(const AnyFuture& future, CallGraphOptions options,
                                   const std::source_location& here) {
    return Capture(options, here).of(future.core());
}

std::optional<FutureCallGraph> capture_call_graph(CallGraphOptions options,
                                                  const std::source_location& here) {
    const AnyTask task = current_task();
    if (!task) return std::nullopt;
    return capture_call_graph(task, options, here);
}

std::string format_call_graph(const FutureCallGraph& graph) {
    std::string text;
    format(graph, "", text);
    return text;
}

std::string format_call_graph(const AnyFuture& future, CallGraphOptions options,
                              const std::source_location& here) {
    return format_call_graph(capture_call_graph(future, options, here));
}

std::string format_call_graph(CallGraphOptions options, const std::source_location& here) {
    const auto graph = capture_call_graph(options, here);
    return graph ? format_call_graph(*graph) : std::string();
}

void print_call_graph(const AnyFuture& future, CallGraphOptions options, std::FILE* file,
                      const std::source_location& here) {
    std::fputs(format_call_graph(future, options, here).c_str(), file);
}

void print_call_graph(CallGraphOptions options, std::FILE* file, const std::source_location& here) {
    std::fputs(format_call_graph(options, here).c_str(), file);
}

}  // namespace asyncio
