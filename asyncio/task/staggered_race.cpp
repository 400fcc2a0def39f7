// SPDX-License-Identifier: MIT
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/staggered_race.hpp>
#include <asyncio/task/wait.hpp>

namespace asyncio::task {

RaceState::RaceState() noexcept = default;
RaceState::~RaceState() = default;

bool RaceState::ended(std::size_t index, const std::exception_ptr& error) {
    if (error || winner) {
        exceptions[index] = error ? error : std::make_exception_ptr(CancelledError());
        return false;
    }
    winner = index;
    for (std::size_t i = 0; i < tasks.size(); ++i)
        if (i != index) tasks[i].cancel();
    return true;
}

/// One that was cancelled before it began has left no exception.
bool RaceState::failed(std::size_t index) const { return tasks[index].done() && winner != index; }

void RaceState::cancel_all(const std::string& message) const {
    for (const AnyTask& task : tasks) task.cancel(message);
}

Coro<> run_race(RaceState& race, std::size_t count, Option<Duration> delay,
                UniqueFunction<AnyTask(std::size_t)> start) {
    const EventLoop& loop = get_running_loop();
    std::exception_ptr cancelled;
    TimePoint next_start = loop.time();
    for (;;) {
        const std::size_t started = race.tasks.size();
        bool more = started < count && !race.winner && !cancelled;
        const bool late = delay && loop.time() >= next_start;
        if (more && (started == 0 || late || race.failed(started - 1))) {
            race.exceptions.emplace_back();
            race.tasks.push_back(start(started));
            if (delay) next_start = deadline_after(loop.time(), *delay);
            more = started + 1 < count && !race.winner;  // an eager one may have won by now
        }
        std::vector<AnyTask> running;
        for (const AnyTask& task : race.tasks)
            if (!task.done()) running.push_back(task);
        if (running.empty() && !more) break;
        if (running.empty()) continue;  // an eager one has failed at once
        WaitOptions options{.return_when = FIRST_COMPLETED};
        if (more && delay) options.timeout = next_start - loop.time();
        try {
            (void)co_await wait(std::move(running), options);
        } catch (const CancelledError& error) {
            cancelled = std::current_exception();
            race.cancel_all(error.message());
        }
    }
    for (std::size_t i = 0; i < race.tasks.size(); ++i) {
        if (is_fatal(race.exceptions[i])) std::rethrow_exception(race.exceptions[i]);
        if (!race.exceptions[i] && race.winner != i)
            race.exceptions[i] = std::make_exception_ptr(CancelledError());
    }
    if (cancelled) std::rethrow_exception(cancelled);
}

}  // namespace asyncio::task
