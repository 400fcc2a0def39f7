// SPDX-License-Identifier: MIT
//
// G23: nobody starves (C2, C3). A socket that is always ready and a task that never waits run
// beside a timer of 10 ms: how late it is. And the debug mode's report of slow steps: one block of
// 50 ms is reported, a quiet time reports nothing.
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/error_log.hpp>

#include <algorithm>
#include <array>
#include <tests/proof/figure.hpp>
#include <tests/proof/machine.hpp>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

/// Reads what `fd` always has, again and again.
Coro<> always_readable(int fd, std::uint64_t& reads) {
    std::array<std::byte, 512> memory;
    for (;;) {
        const std::size_t count = co_await get_running_loop().sock_recv_into(fd, memory);
        ++reads;
        if (::send(fd, memory.data(), count, MSG_NOSIGNAL) < 0) co_return;
    }
}

Coro<> never_waits(std::uint64_t& turns) {
    for (;; ++turns) co_await sleep(0s);
}

double milliseconds(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

Coro<std::vector<double>> lateness(int ticks) {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0)
        co_return {};
    const os::Fd one(fds[0]);
    const os::Fd two(fds[1]);
    (void)::send(one.get(), "0123456789", 10, MSG_NOSIGNAL);
    std::uint64_t reads = 0;
    std::uint64_t turns = 0;
    std::vector<Task<>> busy;
    busy.push_back(create_task(always_readable(one.get(), reads)));
    busy.push_back(create_task(always_readable(two.get(), reads)));
    busy.push_back(create_task(never_waits(turns)));
    std::vector<double> late;
    for (int i = 0; i < ticks; ++i) {
        const TimePoint due = get_running_loop().time() + 10ms;
        co_await sleep(10ms);
        late.push_back(milliseconds(get_running_loop().time() - due));
    }
    for (const Task<>& task : busy) task.cancel();
    for (const Task<>& task : busy) (void)co_await as_outcome(task);
    if (reads < late.size() || turns < late.size()) late.clear();  // somebody starved
    std::sort(late.begin(), late.end());
    co_return late;
}

void block_for(Duration duration) {
    const auto end = Clock::now() + duration;
    while (Clock::now() < end) continue;
}

Coro<> blocks_once() {
    co_await sleep(5ms);
    block_for(50ms);
    co_await sleep(5ms);
}

Coro<> is_quiet(Duration how_long) {
    const TimePoint end = get_running_loop().time() + how_long;
    while (get_running_loop().time() < end) co_await sleep(5ms);
}

std::size_t slow_reports(const testing::LogLines& lines) {
    std::size_t count = 0;
    for (const auto& line : lines.lines()) count += line.text.find("took") != std::string::npos;
    return count;
}

Coro<> watched(Coro<> work) {
    get_running_loop().set_debug(true);
    get_running_loop().slow_callback_duration = 25ms;
    co_await std::move(work);
}

}  // namespace

int main(int argc, char** argv) {
    proof::Goal goal("G23 fairness", argc, argv);
    const int ticks = goal.scaled<int>({50, 1'500, 60'000});
    proof::Control control(10ms);
    const std::vector<double> late = asyncio::run(lateness(ticks));
    const std::vector<double> system = control.stop();
    if (late.empty()) {
        goal.line(false, "somebody starved beside a task that never waits");
        return goal.result();
    }
    const auto excess = [&](std::size_t percent) {
        return std::max(0.0, proof::percentile(late, percent) - proof::percentile(system, percent));
    };
    const std::string head =
        std::to_string(ticks) + " timers of 10 ms beside two busy sockets and a busy task, ";
    goal.figure(excess(99), goal.if_quiet({.at_most = 2}),
                head + "p99 {} ms later than a sleeping thread");
    goal.figure(excess(100), goal.if_quiet({.at_most = 10}),
                head + "at most {} ms later than a sleeping thread");
    goal.figure(late.front(), {.at_least = 0}, head + "the earliest {} ms late");

    const testing::LogLines lines;
    asyncio::run(watched(blocks_once()));
    const std::size_t reports = slow_reports(lines);
    const std::string text = "a block of 50 ms, {} reports";
    goal.figure(static_cast<double>(reports), {.at_least = 1}, text);
    goal.figure(static_cast<double>(reports), goal.if_quiet({.at_most = 1}), text);
    if (goal.slice()) return goal.result();
    const Duration quiet = goal.nightly() ? 60s : 5s;
    proof::Control stalls(1ms);
    asyncio::run(watched(is_quiet(quiet)));
    const std::vector<double> stalled = stalls.stop();
    const auto of_the_system =
        stalled.end() - std::lower_bound(stalled.begin(), stalled.end(), 20.0);
    goal.figure(std::max(0.0, static_cast<double>(slow_reports(lines) - reports) -
                                  static_cast<double>(of_the_system)),
                {.at_most = 0},
                std::to_string(std::chrono::duration_cast<std::chrono::seconds>(quiet).count()) +
                    " s of quiet, {} reports that are not stalls of the system");
    return goal.result();
}
