// SPDX-License-Identifier: MIT
//
// ForkedRun: one scenario in a process of its own, so that a crash, a hang or a leak is found and
// the next run begins anew. The child writes what it saw into memory both share, because a child in
// whose system calls there are faults has no better way to tell.
//
//     starting -> ready -> faulty -> checking -> done
//
//   starting  the child prepares; what it does there is no part of the scenario
//   ready     it waits for go(): the parent may take hold of its system calls
//   faulty    the scenario runs, with the fault in it
//   checking  descriptors and memory are looked at, and the scenario runs once more, without a
//             fault: it has to succeed then, or the fault has broken the process for good
//
// The parent is single-threaded. Memory leaks are seen where the program is linked with
// LeakSanitizer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include <sys/types.h>

#include "scenarios.hpp"

namespace asyncio::proof {

/// In memory that parent and child share.
struct Report {
    enum class Phase : int { starting, ready, faulty, checking, done };

    std::atomic<Phase> phase{Phase::starting};
    std::atomic<int> listener{-1};      // of the child's system calls, its number there
    std::atomic<int> close_to_fail{0};  // the n-th close(); 0: none
    std::atomic<int> closes{0};
    int close_error = 0;
    Ending::Kind kind = Ending::Kind::succeeded;
    Ending::Kind second_kind = Ending::Kind::succeeded;
    bool leaked_memory = false;
    bool closed_twice = false;
    std::uint64_t counted = 0;  // what a goal counts
    bool hit = false;           // a goal's: its fault was put somewhere
    char text[1024] = {};
    char second_text[1024] = {};
    char descriptors[1024] = {};
};

/// What the faulty run is surrounded with, in the child.
struct Faults {
    virtual ~Faults() = default;
    /// Before the descriptors are counted and before phase ready.
    virtual void prepare(Report&) {}
    /// Around the faulty run.
    virtual void begin(Report&) {}
    virtual void end(Report&) {}
    /// After the second run, which had no faults.
    virtual void check(Report&) {}
};

/// Found by a run; empty: nothing.
struct Verdict {
    std::string violation = {};
    std::string ending = {};
    bool hung = false;
};

class ForkedRun {
  public:
    /// Forks. The child never returns from here.
    ForkedRun(const Scenario& scenario, const Environment& environment, Faults& faults);
    ForkedRun(const ForkedRun&) = delete;
    ForkedRun& operator=(const ForkedRun&) = delete;
    ~ForkedRun();

    pid_t pid() const noexcept { return pid_; }
    Report& report() noexcept { return *report_; }

    /// Let the scenario begin.
    void go() noexcept { report_->phase = Report::Phase::faulty; }
    bool ready() const noexcept { return report_->phase.load() == Report::Phase::ready; }
    /// True when it has ended; then verdict() may be asked.
    bool ended() noexcept;
    /// Past the time any scenario takes: ended by force.
    bool overdue() noexcept;
    /// go(), and wait for the end.
    Verdict wait();
    Verdict verdict() const;

    /// The page of the process that is a child, null in the parent.
    static Report* current() noexcept;

  private:
    [[noreturn]] void child(const Scenario& scenario, const Environment& environment,
                            Faults& faults);

    Report* report_;
    pid_t pid_ = -1;
    int status_ = 0;
    bool ended_ = false;
    bool killed_ = false;
    TimePoint began_;
};

/// A directory of this process for the files of its scenarios, removed at the end.
class ScenarioDirectory {
  public:
    ScenarioDirectory();
    ~ScenarioDirectory();
    void empty() const;

  private:
    std::string path_;
};

}  // namespace asyncio::proof
