// SPDX-License-Identifier: MIT
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/task/task_stack.hpp>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <unordered_map>
#include <utility>

#include <unistd.h>

namespace asyncio {

namespace {

std::string hex(std::uintptr_t id) {
    char text[2 + 16 + 1];
    std::snprintf(text, sizeof text, "0x%" PRIxPTR, id);
    return text;
}

std::string label(const TaskListing& task) { return task.name.empty() ? hex(task.id) : task.name; }

/// "inner -> outer"
std::string chain(const TaskListing& task) {
    std::string text;
    for (const StackFrame& frame : task.call_stack)
        text += (text.empty() ? "" : " -> ") + frame.name();
    return text;
}

/// The tasks by their ids, and who awaits whom in the other direction. Awaiters that are not among
/// the tasks do not count.
class Edges {
  public:
    explicit Edges(std::span<const TaskListing> tasks) : tasks_(tasks), awaits_(tasks.size()) {
        for (std::size_t i = 0; i < tasks.size(); ++i) index_.emplace(tasks[i].id, i);
        for (std::size_t i = 0; i < tasks.size(); ++i)
            for (const std::uintptr_t awaiter : tasks[i].awaited_by)
                if (const auto known = index_.find(awaiter); known != index_.end())
                    awaits_[known->second].push_back(i);
    }

    const TaskListing* find(std::uintptr_t id) const {
        const auto known = index_.find(id);
        return known == index_.end() ? nullptr : &tasks_[known->second];
    }
    bool is_awaited(std::size_t task) const {
        return std::ranges::any_of(tasks_[task].awaited_by,
                                   [&](std::uintptr_t id) { return find(id) != nullptr; });
    }
    const std::vector<std::size_t>& awaited_by(std::size_t task) const { return awaits_[task]; }

    /// Depth first, without recursion; a task met again on the path closes a circle.
    std::vector<std::vector<std::string>> cycles() const {
        enum class Mark : unsigned char { unseen, on_path, over };
        std::vector<std::vector<std::string>> found;
        std::vector<Mark> marks(tasks_.size(), Mark::unseen);
        std::vector<std::pair<std::size_t, std::size_t>> path;  // a task, and its next edge
        for (std::size_t root = 0; root < tasks_.size(); ++root) {
            if (marks[root] == Mark::unseen) path.emplace_back(root, 0);
            while (!path.empty()) {
                auto& [task, edge] = path.back();
                marks[task] = Mark::on_path;
                if (edge == awaits_[task].size()) {
                    marks[task] = Mark::over;
                    path.pop_back();
                    continue;
                }
                const std::size_t next = awaits_[task][edge++];
                if (marks[next] == Mark::unseen) path.emplace_back(next, 0);
                if (marks[next] == Mark::on_path) found.push_back(circle(path, next));
            }
        }
        return found;
    }

  private:
    std::vector<std::string> circle(std::span<const std::pair<std::size_t, std::size_t>> path,
                                    std::size_t start) const {
        std::vector<std::string> names;
        auto step = std::ranges::find(path, start, &std::pair<std::size_t, std::size_t>::first);
        for (; step != path.end(); ++step) names.push_back(label(tasks_[step->first]));
        names.push_back(label(tasks_[start]));
        return names;
    }

    std::span<const TaskListing> tasks_;
    std::unordered_map<std::uintptr_t, std::size_t> index_;
    std::vector<std::vector<std::size_t>> awaits_;
};

class Tree {
  public:
    Tree(std::span<const TaskListing> tasks, const Edges& edges) : tasks_(tasks), edges_(edges) {}

    std::string draw() {
        std::vector<std::size_t> roots;
        for (std::size_t i = 0; i < tasks_.size(); ++i)
            if (!edges_.is_awaited(i)) roots.push_back(i);
        draw_all(roots, "", 0);
        return std::move(text_);
    }

  private:
    /// At most kMostTreeLevels deep.
    void draw_all(const std::vector<std::size_t>& tasks, const std::string& indent,
                  std::size_t level) {
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            const bool last = i + 1 == tasks.size();
            if (level >= kMostTreeLevels || lines_ >= kMostTreeLines) {
                line(indent, "└── ", "...");
                return;
            }
            draw_task(tasks[i], indent, last, level);
        }
    }
    void draw_task(std::size_t index, std::string indent, bool last, std::size_t level) {
        const TaskListing& task = tasks_[index];
        line(indent, last ? "└── " : "├── ",
             "(T) " + label(task) +
                 (task.waiting_for.empty() ? "" : ", waiting for " + task.waiting_for));
        indent += last ? "    " : "│   ";
        const std::size_t frames = std::min(task.call_stack.size(), kMostTreeLevels - level);
        for (std::size_t i = 0; i < frames; ++i, indent += "    ") {
            const StackFrame& frame = task.call_stack[task.call_stack.size() - 1 - i];
            line(indent, "└── ",
                 frame.name() + "  " + frame.file + ":" + std::to_string(frame.line));
        }
        draw_all(edges_.awaited_by(index), indent, level + 1 + frames);
    }
    void line(const std::string& indent, const char* branch, const std::string& node) {
        text_ += indent + branch + node + "\n";
        ++lines_;
    }

    std::span<const TaskListing> tasks_;
    const Edges& edges_;
    std::string text_;
    std::size_t lines_ = 0;
};

std::string describe_cycles(const std::vector<std::vector<std::string>>& cycles) {
    std::string text = "tasks wait for each other in a circle:";
    for (const std::vector<std::string>& cycle : cycles) {
        text += "\n  ";
        for (std::size_t i = 0; i < cycle.size(); ++i) text += (i == 0 ? "" : " -> ") + cycle[i];
    }
    return text;
}

constexpr std::size_t kColumns = 7;
using Row = std::array<std::string, kColumns>;

std::string format_rows(const std::vector<Row>& rows) {
    std::array<std::size_t, kColumns> widths{};
    for (const Row& row : rows)
        for (std::size_t c = 0; c < kColumns; ++c) widths[c] = std::max(widths[c], row[c].size());
    std::string text;
    for (const Row& row : rows) {
        std::string line;
        for (std::size_t c = 0; c < kColumns; ++c)
            line += row[c] + std::string(widths[c] - row[c].size() + 2, ' ');
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
    }
    return text;
}

}  // namespace

CycleFoundException::CycleFoundException(std::vector<std::vector<std::string>> cycles)
    : std::logic_error(describe_cycles(cycles)), cycles_(std::move(cycles)) {}

std::vector<TaskListing> list_tasks() { return list_tasks(get_running_loop()); }

std::vector<TaskListing> list_tasks(EventLoop& loop) {
    const auto id = [](const task::FutureCore& future) {
        return reinterpret_cast<std::uintptr_t>(&future);
    };
    const auto thread = static_cast<std::uint64_t>(::gettid());
    std::vector<TaskListing> tasks;
    for (const AnyTask& task : all_tasks(loop)) {
        task::TaskCore& core = task.task();
        TaskListing listing{.thread = thread, .id = id(core), .name = core.name()};
        listing.call_stack = task::stack_of(core, core.created());
        if (core.waiting_for() != nullptr) listing.waiting_for = core.waiting_for()->what();
        for (const task::FutureCore* awaiter : task::awaiters_of(core))
            listing.awaited_by.push_back(id(*awaiter));
        tasks.push_back(std::move(listing));
    }
    return tasks;
}

std::string format_task_table(std::span<const TaskListing> tasks) {
    if (tasks.empty()) return {};
    const Edges edges(tasks);
    std::vector<Row> rows{{"thread", "task id", "task name", "coroutine stack", "awaiter chain",
                           "awaiter name", "awaiter id"}};
    for (const TaskListing& task : tasks) {
        const Row row{
            std::to_string(task.thread), hex(task.id), task.name, chain(task), "", "", ""};
        if (task.awaited_by.empty()) rows.push_back(row);
        for (const std::uintptr_t id : task.awaited_by) {
            const TaskListing* awaiter = edges.find(id);
            rows.push_back(row);
            if (awaiter != nullptr) rows.back()[4] = chain(*awaiter);
            rows.back()[5] = awaiter != nullptr ? awaiter->name : "unknown";
            rows.back()[6] = hex(id);
        }
    }
    return format_rows(rows);
}

std::string format_task_tree(std::span<const TaskListing> tasks) {
    const Edges edges(tasks);
    if (auto cycles = edges.cycles(); !cycles.empty()) throw CycleFoundException(std::move(cycles));
    return Tree(tasks, edges).draw();
}

void print_task_table(std::FILE* file) {
    std::fputs(format_task_table(list_tasks()).c_str(), file);
}

void print_task_tree(std::FILE* file) {
    try {
        std::fputs(format_task_tree(list_tasks()).c_str(), file);
    } catch (const CycleFoundException& e) {
        std::fprintf(file, "%s\n", e.what());
    }
}

}  // namespace asyncio
