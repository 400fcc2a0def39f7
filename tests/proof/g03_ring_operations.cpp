// SPDX-License-Identifier: MIT
//
// G3: every operation of a ring fails, does a part, comes late or in another order, once.
//
// Each scenario first runs with what its rings do written down (faulty_ring.hpp); then once for
// each operation and each fault it may have (fault_plan.hpp, ring_table.hpp). Where the fault is an
// error of the work, the scenario has to succeed or to throw a documented error; where it is the
// system's right to do so (a part, an order, a delay, an interruption) it has to succeed as if
// nothing had happened. Where the program is cancelled while its completion is on the way, it has
// to end. Afterwards no descriptor is open that was not, and the same process runs the scenario
// without a fault. All of it on the usual ring, and without multishot operations; and without a
// fault on rings so small that everything waits and overflows.
//
// Many faults are tried in one process; a violation costs that process, and the next begins behind
// it. --only SCENARIO:RING:OPCODE:NUMBER:FAULT; PROOF_VERBOSE=1 shows what the runs say.
#include <asyncio/kernel/io_uring_options.hpp>
#include <asyncio/testing/descriptors.hpp>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault_plan.hpp"
#include "faulty_ring.hpp"
#include "figure.hpp"
#include "forked_run.hpp"
#include "scenarios_ring.hpp"

namespace asyncio::proof {
namespace {

/// What the rings of a run are made with.
struct RingKind {
    const char* name;
    kernel::IoUringOptions options;
    enum class Faults : std::uint8_t { all, of_records, none } faults = Faults::all;
};

const RingKind ring_kinds[] = {
    {"usual", {}},
    {"readiness", {.multishot = false}},
    // The system completes whenever it likes, not only inside the call that is ours.
    {"undeferred", {.deferred = false}, RingKind::Faults::of_records},
    {"tiny", {.submission_entries = 1, .completion_entries = 2}, RingKind::Faults::none},
    {"small",
     {.submission_entries = 4, .completion_entries = 8, .buffers = 1},
     RingKind::Faults::none},
};
const RingKind* ring_kind = &ring_kinds[0];

std::unique_ptr<EventLoop> make_loop() {
    kernel::IoUringOptions options = ring_kind->options;
    options.enter = &FaultyRing::enter;
    FaultyRing::current().begin_ring();
    return std::make_unique<EventLoop>(kernel::make_io_uring_kernel(options));
}

/// Empty, or why there is no ring.
std::string refusal() {
    try {
        kernel::make_io_uring_kernel();
        return "";
    } catch (const std::system_error& refused) {
        return refused.what();
    }
}

std::string name_of(const Scenario& scenario, const RingKind& kind, const Fault& fault) {
    return std::string(scenario.name) + ":" + kind.name + ":" + name_of_opcode(fault.ring.opcode) +
           ":" + std::to_string(fault.ring.nth) + ":" + name_of(fault.ring);
}

constexpr std::size_t most_sites = 8192;
constexpr Duration most_time = std::chrono::seconds(5);

/// In shared memory: how far a child has come, and what it found.
struct Progress {
    std::atomic<std::int64_t> began{0};  // the current run, nanoseconds
    std::atomic<std::size_t> index{0};   // of the fault being tried
    std::atomic<int> hits[RingOpcode::count] = {};
    std::atomic<int> manner_hits[manners] = {};
    bool hung = false;
    std::size_t site_count = 0;
    RingSite sites[most_sites] = {};
    char violation[1024] = {};
};

void say(Progress& progress, const std::string& text) {
    std::snprintf(progress.violation, sizeof progress.violation, "%s", text.c_str());
}

/// The child's work. Ends the process at the first violation.
class Trial {
  public:
    Trial(const Scenario& scenario, Progress& progress)
        : scenario_(scenario), progress_(progress) {}

    void record() {
        FaultyRing& ring = FaultyRing::current();
        ring.record();
        run_clean();
        progress_.site_count = std::min(ring.sites().size(), most_sites);
        std::copy_n(ring.sites().begin(), progress_.site_count, progress_.sites);
    }
    void put(std::span<const Fault> faults) {
        for (std::size_t i = progress_.index; i < faults.size(); i++) {
            progress_.index = i;
            put(faults[i]);
            if (i % 8 == 7) run_clean();
        }
        run_clean();
    }

  private:
    void put(const Fault& fault) {
        const testing::OpenDescriptors open;
        FaultyRing::current().arm(fault.ring, &interrupt_body);
        check(run_once(), fault.outcome);
        if (FaultyRing::current().hit()) {
            progress_.hits[fault.ring.opcode]++;
            progress_.manner_hits[static_cast<int>(fault.ring.manner)]++;
        }
        if (const auto left = testing::OpenDescriptors::since(open); !left.empty())
            fail("left open: " + left.front());
    }
    Ending run_once() {
        progress_.began = Clock::now().time_since_epoch().count();
        return run(scenario_,
                   {.loop_factory = &make_loop, .ended = [] { FaultyRing::current().disarm(); }});
    }
    void run_clean() {
        const Ending ending = run_once();
        if (ending.kind != Ending::Kind::succeeded) fail("without a fault: " + ending.text);
    }
    void check(const Ending& ending, Fault::Outcome outcome) {
        progress_.hung = ending.kind == Ending::Kind::hung;
        if (progress_.hung) fail(ending.text);
        if (ending.kind == Ending::Kind::documented && outcome == Fault::Outcome::unharmed)
            fail("not unharmed: " + ending.text);
        if (ending.kind == Ending::Kind::undocumented && outcome != Fault::Outcome::ended)
            fail("undocumented: " + ending.text);
    }
    [[noreturn]] void fail(const std::string& text) {
        say(progress_, text);
        ::_exit(3);
    }

    const Scenario& scenario_;
    Progress& progress_;
};

class Proof {
  public:
    explicit Proof(Goal& goal) : goal_(goal) {
        void* memory = ::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        progress_ = new (memory) Progress();
    }

    void run() {
        for (const RingKind& kind : ring_kinds) {
            ring_kind = &kind;
            for (const auto& list : {scenarios(), ring_scenarios()})
                for (const Scenario& scenario : list)
                    if (!scenario.own_loops && wants(scenario)) run(scenario);
        }
    }
    void tell() {
        int faults = progress_->hits[RingOpcode::any];
        int opcodes = 0;
        int kinds = 0;
        std::string text;
        std::string missing;
        for (int i = 1; i < manners; i++) {
            const std::string name(asyncio::proof::name_of(static_cast<Manner>(i)));
            const int count = progress_->manner_hits[i];
            text += " " + name + " " + std::to_string(count);
            if (count == 0 && !goal_.slice()) missing += " " + name;
            kinds += count != 0 ? 1 : 0;
        }
        goal_.note("kinds:" + text);
        text.clear();
        for (const RingOperation& operation : ring_operations) {
            const int count = progress_->hits[operation.opcode];
            const std::string name = name_of_opcode(operation.opcode);
            faults += count;
            opcodes += count != 0 ? 1 : 0;
            text += " " + name + " " + std::to_string(count);
            if (count == 0) missing += " " + name;
        }
        goal_.note("faults:" + text);
        for (const int opcode : unknown_) goal_.note("not in the table: " + name_of_opcode(opcode));
        if (!missing.empty()) goal_.note("never faulted:" + missing);
        goal_.figure(static_cast<double>(std::size(ring_operations)) - opcodes +
                         static_cast<double>(unknown_.size()),
                     {.at_most = 0},
                     std::to_string(std::size(ring_operations)) + " opcodes, {} never faulted");
        if (!goal_.slice())
            goal_.figure(manners - 1 - kinds, {.at_most = 0},
                         std::to_string(manners - 1) + " kinds of faults, {} never put");
        goal_.figure(faults, {.at_least = goal_.scaled<double>({200, 5000, 30'000})},
                     std::to_string(scenarios_) + " programs and rings, {} faults");
        goal_.figure(violations_, {.at_most = 0}, "{} violations");
    }

  private:
    bool wants(const Scenario& scenario) const {
        return goal_.wants(scenario.name) || goal_.wants_part_of(scenario.name);
    }

    void run(const Scenario& scenario) {
        scenarios_++;
        in_child(scenario, [](Trial& trial) { trial.record(); });
        if (progress_->violation[0] != '\0') return miss(scenario, "without a fault");
        if (ring_kind->faults == RingKind::Faults::none) return;
        std::vector<Fault> faults;
        for (std::size_t i = 0; i < progress_->site_count; i++) {
            const RingSite& site = progress_->sites[i];
            if (operation_of(site.opcode) == nullptr) unknown_.insert(site.opcode);
            if (!site.completion || ring_kind->faults == RingKind::Faults::all)
                add_faults(site, faults);
        }
        if (ring_kind->faults == RingKind::Faults::all)
            for (int seed = 1; seed <= goal_.scaled<int>({2, 8, 200}); seed++)
                faults.push_back({.ring = {RingOpcode::any, seed, Manner::shuffled}});
        if (goal_.wants(scenario.name)) return put(scenario, part_of(faults));
        std::erase_if(faults, [&](const Fault& fault) {
            return !goal_.wants(name_of(scenario, *ring_kind, fault));
        });
        put(scenario, faults);
    }
    /// So many for each opcode, wherever in the scenario; others with another seed.
    std::vector<Fault> part_of(const std::vector<Fault>& all) const {
        const std::size_t most = goal_.scaled<std::size_t>({1, 25, 1'000'000});
        std::map<int, std::vector<Fault>> by_opcode;
        for (const Fault& fault : all) by_opcode[fault.ring.opcode].push_back(fault);
        std::vector<Fault> part;
        for (const auto& [opcode, faults] : by_opcode) {
            const std::size_t step = std::max<std::size_t>(1, faults.size() / most);
            // Not the same one in each scenario.
            const std::size_t first = (goal_.seed(0) + static_cast<std::size_t>(scenarios_)) % step;
            for (std::size_t i = first; i < faults.size(); i += step) part.push_back(faults[i]);
        }
        return part;
    }
    void put(const Scenario& scenario, const std::vector<Fault>& faults) {
        std::size_t first = 0;
        bool again = false;
        while (first < faults.size()) {
            progress_->index = first;
            in_child(scenario, [&](Trial& trial) { trial.put(faults); });
            if (progress_->violation[0] == '\0') return;
            first = progress_->index;
            again = progress_->hung && !again;  // a machine that is busy elsewhere is no hang
            if (again) continue;
            miss(scenario, name_of(scenario, *ring_kind, faults[first]));
            first++;
        }
    }
    template <class Work>
    void in_child(const Scenario& scenario, const Work& work) {
        directory_.empty();
        progress_->violation[0] = '\0';
        progress_->hung = false;
        progress_->began = Clock::now().time_since_epoch().count();
        std::fflush(stdout);
        const pid_t child = ::fork();
        if (child == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::setpgid(0, 0);
            if (std::getenv("PROOF_VERBOSE") == nullptr)
                if (std::freopen("/dev/null", "w", stderr) == nullptr) ::_exit(4);
            Trial trial(scenario, *progress_);
            work(trial);
            ::_exit(0);
        }
        int status = 0;
        while (::waitpid(child, &status, WNOHANG) != child) {
            if (Clock::now().time_since_epoch().count() - progress_->began > most_time.count()) {
                ::kill(-child, SIGKILL);
                ::waitpid(child, &status, 0);
                progress_->hung = true;
                return say(*progress_, "hung");
            }
            ::usleep(500);
        }
        ::kill(-child, SIGKILL);
        if (WIFSIGNALED(status))
            say(*progress_, "ended by signal " + std::to_string(WTERMSIG(status)));
        else if (status != 0 && progress_->violation[0] == '\0')
            say(*progress_, "ended with status " + std::to_string(WEXITSTATUS(status)));
    }
    void miss(const Scenario& scenario, const std::string& name) {
        violations_++;
        const std::string where =
            name.starts_with(scenario.name) ? name : std::string(scenario.name) + " " + name;
        goal_.note("--only " + where + ": " + progress_->violation);
    }

    Goal& goal_;
    ScenarioDirectory directory_;
    Progress* progress_;
    std::set<int> unknown_;
    int scenarios_ = 0;
    int violations_ = 0;
};

}  // namespace
}  // namespace asyncio::proof

int main(int argc, char** argv) {
    using namespace asyncio::proof;
    Goal goal("G3 ring operations", argc, argv);
    if (const std::string why = refusal(); !why.empty()) {
        goal.note("skipped: " + why);
        return goal.result();
    }
    prepare_scenarios();
    Proof proof(goal);
    proof.run();
    proof.tell();
    return goal.result();
}
