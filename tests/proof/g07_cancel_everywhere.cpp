// SPDX-License-Identifier: MIT
//
// G7: every public awaitable, cancelled at every point. Each operation of cancel/*.cpp runs
//
//   - once to its end, to see that it does what it should and how many turns of the loop it takes;
//   - cancelled after k turns, k = 0, 1, 2, ...: before and after each completion is reaped, and
//     between a completion and the resumption it causes;
//   - cancelled at each change of where its tasks stand, however late that is;
//   - with its loop closed under it after k turns.
//
// It must end at once, with CancelledError if cancel() said so; leave no task and no descriptor;
// and its own check must hold: no byte, lock or item lost. No operation may answer instead: there
// are no exceptions.
//
//   --only NAME   one operation
#include <asyncio/testing/descriptors.hpp>
#include <asyncio/testing/error_log.hpp>

#include <cstdint>
#include <optional>
#include <tests/proof/cancel/operation.hpp>
#include <tests/proof/figure.hpp>

#include <sched.h>

namespace asyncio::proof {

namespace {

std::string place;  // the operation and the moment
std::uint64_t faults = 0;
constexpr std::uint64_t kMostFaultsShown = 40;

/// What an operation may take to end, once it was cancelled or left alone.
constexpr Duration kPatience = 20s;

struct Point {
    enum class Kind : std::uint8_t { never, turns, changes } kind = Kind::never;
    std::uint64_t count = 0;
};

struct Ending {
    bool before_the_point = false;
    bool cancelled = false;
    std::uint64_t turns = 0;    // until it ended or was cancelled
    std::uint64_t changes = 0;  // of where tasks stand
};

/// Where every task but the runner's stands.
std::uint64_t where_tasks_stand() {
    std::uint64_t sum = 0;
    const task::TaskCore* own = &current_task().task();
    for (const AnyTask& any : all_tasks()) {
        const task::TaskCore& core = any.task();
        if (&core == own) continue;
        std::uint64_t hash = reinterpret_cast<std::uintptr_t>(core.waiting_for()) >> 3;
        for (const coro::PromiseBase* frame = core.innermost(); frame != nullptr;
             frame = frame->awaiter())
            hash = hash * 31 + frame->await_site().line();
        sum += hash * 0x9E3779B97F4A7C15u;
    }
    return sum;
}

/// Let the loop turn until the point is reached or the task has ended.
Coro<Ending> reach(const Task<>& task, Point point) {
    Ending ending;
    std::uint64_t last = where_tasks_stand();
    const auto give_up = Clock::now() + kPatience;
    while (!task.done()) {
        if (point.kind == Point::Kind::turns && ending.turns == point.count) co_return ending;
        if (point.kind == Point::Kind::changes && ending.changes == point.count) co_return ending;
        if (Clock::now() > give_up) {
            require(false, "does not end by itself");
            co_return ending;
        }
        if (ending.turns > 64) ::sched_yield();
        co_await sleep(0s);
        ++ending.turns;
        const std::uint64_t now = where_tasks_stand();
        if (now != last) ++ending.changes;
        last = now;
    }
    ending.before_the_point = true;
    co_return ending;
}

Coro<> see_no_task_left() {
    for (int i = 0; i < 400 && all_tasks().size() > 1; ++i) co_await sleep(i < 100 ? 0ms : 1ms);
    require(all_tasks().size() == 1, "tasks are left:\n" + format_task_tree(list_tasks()));
}

Coro<> see_outcome(const Task<>& task, Ending& ending, bool asked) {
    const std::vector<Task<>> tasks{task};
    (void)co_await wait(tasks, {.timeout = kPatience});
    if (!task.done()) {
        require(false, "was cancelled and does not end:\n" + format_task_tree(list_tasks()));
        co_return;
    }
    ending.cancelled = task.cancelled();
    if (task.cancelled())
        require(asked, "ended as cancelled, and nobody asked");
    else if (task.exception())
        require(false, "ended with " + describe(task.exception()));
    else
        require(!asked, "a cancel was granted and did not arrive");
}

Coro<> perform(const Operation& operation, Point point, Ending& ending) {
    get_running_loop().set_exception_handler([](EventLoop&, const ExceptionContext& context) {
        std::string text = "was reported: " + context.message;
        if (context.exception) text += ": " + describe(context.exception);
        require(false, text);
    });
    {
        const Scene scene = co_await operation.prepare();
        const Task<> task = create_task(scene.operate());
        ending = co_await reach(task, point);
        const bool asked = !task.done() && task.cancel();
        co_await see_outcome(task, ending, asked);
        if (scene.check) {
            const Task<> check = create_task(scene.check());
            Ending unused;
            co_await see_outcome(check, unused, false);
        }
    }
    co_await see_no_task_left();
}

/// One scene on a loop of its own.
Ending play(const Operation& operation, Point point) {
    Ending ending;
    run(perform(operation, point, ending));
    return ending;
}

/// The loop goes while the operation is under way.
void play_and_close(const Operation& operation, std::uint64_t turns) {
    EventLoop loop;
    loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});  // it tells each task
    std::optional<Scene> scene;
    std::optional<Task<>> task;
    loop.run_until_complete([&]() -> Coro<> {
        scene.emplace(co_await operation.prepare());
        task = create_task(scene->operate());
        const Point point{Point::Kind::turns, turns};
        (void)co_await reach(*task, point);
    });
    loop.close();
    task.reset();
    scene.reset();
}

class Everywhere {
  public:
    explicit Everywhere(const Goal& goal)
        : most_turns_(goal.scaled<std::uint64_t>({6, 40, 400})),
          most_changes_(goal.scaled<std::uint64_t>({3, 30, 300})) {}

    void perform_all(const Operation& operation) {
        place = operation.name + ", to its end";
        (void)play(operation, {});  // what a first time makes, threads for example
        const testing::OpenDescriptors before;
        const Ending whole = play(operation, {});
        see_descriptors(before);
        const std::uint64_t last = std::min(whole.turns, most_turns_);
        for (std::uint64_t k = 0; k < last; ++k)
            cancel_at(operation, {Point::Kind::turns, k}, before);
        for (std::uint64_t k = 1; k <= most_changes_; ++k)
            if (!cancel_at(operation, {Point::Kind::changes, k}, before)) break;
        for (std::uint64_t k = 0; k < last; k = k * 3 / 2 + 1) {
            place = operation.name + ", its loop closed after " + std::to_string(k) + " turns";
            play_and_close(operation, k);
            see_descriptors(before);
            ++closed;
        }
        ++operations;
    }

    std::uint64_t operations = 0;
    std::uint64_t cancels = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t closed = 0;

  private:
    /// False if it had ended before.
    bool cancel_at(const Operation& operation, Point point,
                   const testing::OpenDescriptors& before) {
        place = operation.name + ", cancelled after " + std::to_string(point.count) +
                (point.kind == Point::Kind::turns ? " turns" : " changes");
        const Ending ending = play(operation, point);
        see_descriptors(before);
        if (ending.before_the_point) return false;
        ++cancels;
        if (ending.cancelled) ++cancelled;
        return true;
    }

    static void see_descriptors(const testing::OpenDescriptors& before) {
        for (const std::string& left : testing::OpenDescriptors::since(before))
            require(false, "left descriptor " + left + " open");
    }

    const std::uint64_t most_turns_;
    const std::uint64_t most_changes_;
};

}  // namespace

void require(bool holds, const std::string& what) {
    if (holds) return;
    if (++faults <= kMostFaultsShown) std::printf("    %s: %s\n", place.c_str(), what.c_str());
}

}  // namespace asyncio::proof

int main(int argc, char** argv) {
    using namespace asyncio::proof;
    Goal goal("G7 cancel everywhere", argc, argv);
    Operations all;
    add_task_operations(all);
    add_sync_operations(all);
    add_stream_operations(all);
    add_net_operations(all);
    add_sock_operations(all);
    add_tls_operations(all);
    add_file_operations(all);
    add_process_operations(all);
    const asyncio::testing::LogLines quiet;  // writers and processes that are dropped say so
    Everywhere everywhere(goal);
    for (const Operation& operation : all)
        if (goal.wants(operation.name)) everywhere.perform_all(operation);
    const auto text = [](std::uint64_t number) { return std::to_string(number); };
    if (goal.only().empty())
        goal.figure(static_cast<double>(everywhere.operations), {.at_least = 60},
                    "{} public awaitables");
    goal.figure(static_cast<double>(faults), {.at_most = 0},
                text(everywhere.cancels) + " cancels at as many points, " +
                    text(everywhere.cancelled) + " took effect, " + text(everywhere.closed) +
                    " loops closed under an operation, {} faults");
    return goal.result();
}
