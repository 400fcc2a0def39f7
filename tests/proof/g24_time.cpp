// SPDX-License-Identifier: MIT
//
// G24: time. Timers are never early (C8) and hardly late; a schedule kept by call_at does not drift
// (C9); a process that was stopped makes no burst of missed ticks (C10); the clock is the monotonic
// one, whatever the system says its offset is (C11); a million timers are set and cancelled in no
// time (C12).
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/virtual_clock.hpp>

#include <algorithm>
#include <csignal>
#include <functional>
#include <random>
#include <tests/proof/figure.hpp>
#include <tests/proof/machine.hpp>
#include <vector>

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

double milliseconds(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

/// How late each of `count` timers at random moments of `span` is.
Coro<std::vector<double>> random_timers(int count, Duration span, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    EventLoop& loop = get_running_loop();
    std::vector<double> late;
    late.reserve(static_cast<std::size_t>(count));
    Future<> all = loop.create_future<void>();
    for (int i = 0; i < count; ++i) {
        const TimePoint due =
            loop.time() + Duration(random() % static_cast<std::uint64_t>(span.count()));
        loop.call_at(due, [&, due, count] {
            late.push_back(milliseconds(Clock::now() - due));
            if (late.size() == static_cast<std::size_t>(count)) all.set_result();
        });
    }
    co_await all;
    std::sort(late.begin(), late.end());
    co_return late;
}

/// How often a schedule of one tick a second was off, in `days` of virtual time.
Coro<std::int64_t> drift(int days) {
    EventLoop& loop = get_running_loop();
    const TimePoint start = loop.time();
    std::int64_t wrong = 0;
    for (std::int64_t tick = 1; tick <= days * 86'400LL; ++tick) {
        const TimePoint due = start + tick * 1s;
        co_await sleep(due - loop.time());
        wrong += loop.time() < due || loop.time() - due > loop.kernel().timer_grid();
    }
    co_return wrong;
}

/// Ticks of a sleep of 20 ms within the 10 ms after a gap, in a process that is stopped meanwhile.
Coro<int> ticks_after_a_gap(Duration gap) {
    EventLoop& loop = get_running_loop();
    TimePoint last = loop.time();
    const TimePoint give_up = last + gap + 20s;
    while (loop.time() < give_up) {
        co_await sleep(20ms);
        const bool after_gap = loop.time() - last > gap / 2;
        last = loop.time();
        if (!after_gap) continue;
        int ticks = 1;
        const TimePoint end = last + 10ms;
        for (;; ++ticks) {
            co_await sleep(20ms);
            if (loop.time() >= end) co_return ticks;
        }
    }
    co_return 0;
}

/// What `body` returns, in a process of its own.
int in_child(const std::function<int()>& body, const std::function<void(pid_t)>& meanwhile = {}) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(body());
    if (meanwhile) meanwhile(child);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int stopped_ticks(Duration gap) {
    const auto body = [gap] { return asyncio::run(ticks_after_a_gap(gap)); };
    return in_child(body, [gap](pid_t child) {
        std::this_thread::sleep_for(200ms);
        ::kill(child, SIGSTOP);
        std::this_thread::sleep_for(gap);
        ::kill(child, SIGCONT);
    });
}

constexpr int kNotPermitted = 77;

/// Early timers in a time namespace whose monotonic clock is a million seconds ahead; more than 76
/// are 76, as it is an exit status. Negative if the process crashed.
int early_in_time_namespace(int count, std::uint64_t seed) {
    return in_child([=] {
        if (::unshare(CLONE_NEWTIME) != 0) return kNotPermitted;
        const int offsets = ::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
        const std::string text = "monotonic 1000000 0\n";
        const bool set = ::write(offsets, text.data(), text.size()) > 0;
        ::close(offsets);
        if (!set) return kNotPermitted;
        return in_child([=] {
            const auto late = asyncio::run(random_timers(count, 500ms, seed));
            const auto early = std::lower_bound(late.begin(), late.end(), 0.0) - late.begin();
            return static_cast<int>(std::min<std::ptrdiff_t>(early, kNotPermitted - 1));
        });
    });
}

Coro<double> seconds_to_set_and_cancel(int count) {
    EventLoop& loop = get_running_loop();
    std::mt19937 random(1);
    const double start = proof::cpu_seconds();
    std::vector<TimerHandle> handles;
    handles.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
        handles.push_back(loop.call_later(1s + Duration(random()) * 1000, [] {}));
    for (TimerHandle& handle : handles) handle.cancel();
    co_return proof::cpu_seconds() - start;
}

}  // namespace

int main(int argc, char** argv) {
    proof::Goal goal("G24 time", argc, argv);
    const std::uint64_t seed = goal.seed(1);
    const auto says = [](int number) { return std::to_string(number); };

    const int count = goal.scaled<int>({5'000, 100'000, 1'000'000});
    const Duration span = goal.scaled<Duration>({1s, 10s, 100s});
    proof::Control control(1ms);
    const std::vector<double> late = asyncio::run(random_timers(count, span, seed));
    const std::vector<double> system = control.stop();
    const auto early = std::lower_bound(late.begin(), late.end(), 0.0) - late.begin();
    goal.figure(static_cast<double>(early), {.at_most = 0},
                says(count) + " random timers, {} early");
    goal.figure(std::max(0.0, proof::percentile(late, 99) - proof::percentile(system, 99)),
                goal.if_quiet({.at_most = 2}),
                says(count) + " random timers, p99 {} ms later than a sleeping thread");

    const int days = goal.scaled<int>({1, 30, 365});
    const std::int64_t off = testing::run(drift(days));
    goal.figure(static_cast<double>(off), {.at_most = 0},
                "a tick a second for " + says(days) + " simulated days, {} off");

    goal.figure(stopped_ticks(goal.slice() ? 500ms : 5s), {.at_most = 1, .at_least = 1},
                "stopped for " + std::string(goal.slice() ? "0.5" : "5") +
                    " s, {} ticks at once afterwards");

    const int there = early_in_time_namespace(goal.slice() ? 1'000 : 20'000, seed);
    if (there == kNotPermitted)
        goal.note("skipped: time namespaces are not permitted");
    else
        goal.figure(there, {.at_most = 0, .at_least = 0},
                    "in a time namespace of its own, {} timers early");

    goal.figure(asyncio::run(seconds_to_set_and_cancel(1'000'000)), {.at_most = 1},
                "a million timers set and cancelled in {} s of CPU");
    return goal.result();
}
