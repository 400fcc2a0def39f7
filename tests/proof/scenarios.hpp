// SPDX-License-Identifier: MIT
//
// Scenarios: small complete programs over the public API, the material of the goals that put faults
// everywhere (system calls, allocations, completions) and of those that run everything elsewhere
// (io_uring refused, an old kernel).
//
//     for (const Scenario& scenario : scenarios()) print(run(scenario, {.backend = backend}));
//
// Each makes its own loop, takes a few milliseconds, and ends by itself whatever fails: a deadline
// stands around each body. How it ended is one of
//
//     succeeded      all it checks held
//     documented     an exception the documentation names, which says what was attempted
//     undocumented   any other exception, or a check that did not hold: a defect
//     hung           the deadline came: somebody waited for what could not come any more
//
// Threads: the calling one, in which no loop may run.
#pragma once

#include <asyncio/asyncio.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace asyncio::proof {

/// What a scenario runs on.
struct Environment {
    Backend backend = Backend::automatic;
    std::unique_ptr<EventLoop> (*loop_factory)() = nullptr;  // instead of `backend`
    /// How long a body may take: long for what takes milliseconds, short enough to find what would
    /// wait for ever.
    Duration deadline = std::chrono::milliseconds(1500);
    /// Called when a scenario has ended, before anything is done about how: faults end here.
    void (*ended)() = nullptr;
};

struct Scenario {
    std::string_view name;
    void (*run)(const Environment&);
    /// Nothing in it waits for an edge of epoll: EAGAIN may be made up anywhere.
    bool waits_for_levels = false;
    /// Makes loops of its own, on which no loop_factory has a say.
    bool own_loops = false;
};

struct Ending {
    enum class Kind { succeeded, documented, undocumented, hung };
    Kind kind = Kind::succeeded;
    std::string text = {};

    bool good() const noexcept { return kind == Kind::succeeded || kind == Kind::documented; }
};

/// All of them, always in the same order.
std::span<const Scenario> scenarios();
const Scenario* find_scenario(std::string_view name);

Ending run(const Scenario& scenario, const Environment& environment);

/// Cancel the body that runs, soon; to be called in its loop's thread. Then it may end cancelled.
void interrupt_body();

/// What takes long and is the same each time (certificates): before somebody counts or forks.
void prepare_scenarios();

/// Where scenarios may make files; must exist. A forked one needs one of its own.
void set_scenario_directory(std::string path);
const std::string& scenario_directory();
/// A path in it that is another one in each run.
std::string path_of(const char* name);

/// Thrown by a scenario that saw something wrong.
class WrongResult final : public std::logic_error {
  public:
    using std::logic_error::logic_error;
};

/// Throws WrongResult.
void expect(bool condition, const char* what);

/// Run `body` under the deadline, on a loop of `environment`.
void run_body(Coro<> (*body)(), const Environment& environment);

// The parts of the list.
std::span<const Scenario> task_scenarios();
std::span<const Scenario> net_scenarios();
std::span<const Scenario> tls_scenarios();
std::span<const Scenario> file_scenarios();
std::span<const Scenario> process_scenarios();

/// For the parts' tables: a body as a scenario's `run`.
template <Coro<> (*Body)()>
void on_loop(const Environment& environment) {
    run_body(Body, environment);
}

}  // namespace asyncio::proof
