// SPDX-License-Identifier: MIT
//
// G2: every system call fails once.
//
// Each scenario first runs with its system calls counted; then once for each call it made and each
// error of syscall_table.hpp, with that call failing with that error. Whatever fails, the scenario
// has to succeed or to throw a documented error, leave no descriptor open, and succeed when it runs
// again in the same process.
//
// The faults come from a seccomp filter that asks the parent (user notification): the library, the
// C library and the children it starts run as they are, and so do sanitizers. Programs that have
// been started (after execve) are left alone. close() fails in a function of our own in its place,
// because a close that fails has closed.
//
// A fault's name, for --only: SCENARIO:CALL:NUMBER:ERRNO. PROOF_VERBOSE=1 shows what the runs say.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "figure.hpp"
#include "forked_run.hpp"
#include "syscall_table.hpp"

extern "C" int close(int fd) {
    using asyncio::proof::ForkedRun;
    using asyncio::proof::Report;
    const long result = ::syscall(SYS_close, fd);
    Report* const report = ForkedRun::current();
    if (report == nullptr || report->phase != Report::Phase::faulty)
        return static_cast<int>(result);
    if (result < 0) report->closed_twice = true;
    if (++report->closes != report->close_to_fail) return static_cast<int>(result);
    report->hit = true;
    errno = report->close_error;
    return -1;
}

namespace asyncio::proof {
namespace {

using os::Fd;

/// One call of a scenario.
struct Site {
    int number = 0;  // of the system call
    int nth = 0;     // of its calls, from 1
    bool eventfd = false;
};

struct Fault {
    Site site;
    int error = 0;
};

const FaultyCall* call_of(int number) {
    const auto* found = std::ranges::find(faulty_calls, number, &FaultyCall::number);
    return found == std::end(faulty_calls) ? nullptr : found;
}

std::string_view name_of(int number) {
    return number == close_call ? "close" : call_of(number)->name;
}

std::string name_of(const Scenario& scenario, const Fault& fault) {
    const char* error = strerrorname_np(fault.error);
    return std::string(scenario.name) + ":" + std::string(name_of(fault.site.number)) + ":" +
           std::to_string(fault.site.nth) + ":" + (error == nullptr ? "?" : error);
}

/// In the child: from now on the parent is asked about the calls of the table.
class AskParent final : public Faults {
  public:
    void prepare(Report& report) override {
        std::vector<sock_filter> program;
        const auto calls = static_cast<unsigned char>(std::size(faulty_calls));
        program.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
        for (unsigned char i = 0; i < calls; i++)
            program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                       static_cast<unsigned>(faulty_calls[i].number),
                                       static_cast<unsigned char>(calls - i), 0));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
        const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        report.listener = static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                                     SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter));
    }
    void begin(Report& report) override { ::close(report.listener); }
};

/// Which threads and processes are the library's: those that have not called execve().
class Ours {
  public:
    bool contains(int thread) {
        const auto [place, is_new] = known_.try_emplace(thread, false);
        if (is_new) place->second = program_of(thread) == program_of(::getpid());
        return place->second;
    }
    void leaves(int thread) { known_[thread] = false; }

  private:
    static std::string program_of(int thread) {
        char text[512];
        const std::string path = "/proc/" + std::to_string(thread) + "/exe";
        const ssize_t size = ::readlink(path.c_str(), text, sizeof text);
        return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
    }
    std::unordered_map<int, bool> known_;
};

/// The parent's side of one run: counts the calls, and lets one of them fail.
class Supervisor {
  public:
    Supervisor(ForkedRun& run, std::optional<Fault> fault) : run_(run), fault_(fault) {}

    /// Until the child has ended.
    Verdict supervise() {
        while (!run_.ready() && run_.report().listener < 0 && !over()) ::sched_yield();
        take_listener();
        while (!over()) {
            if (run_.ready() && listener_) start();
            pollfd waiting = {.fd = listener_.get(), .events = POLLIN, .revents = 0};
            if (::poll(&waiting, 1, 5) > 0 && (waiting.revents & POLLIN) != 0) answer();
        }
        if (run_.report().hit) hit_ = true;
        return run_.verdict();
    }
    const std::vector<Site>& sites() const { return sites_; }
    bool hit() const { return hit_; }

  private:
    bool over() { return run_.ended() || run_.overdue(); }

    void take_listener() {
        const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, run_.pid(), 0)));
        listener_ = Fd(static_cast<int>(
            ::syscall(SYS_pidfd_getfd, process.get(), run_.report().listener.load(), 0)));
        if (!listener_) throw std::system_error(errno, std::generic_category(), "pidfd_getfd");
    }
    void start() {
        if (fault_ && fault_->site.number == close_call) {
            run_.report().close_error = fault_->error;
            run_.report().close_to_fail = fault_->site.nth;
        }
        run_.go();
    }
    void answer() {
        seccomp_notif asked = {};
        if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) return;
        seccomp_notif_resp said = {};
        said.id = asked.id;
        if (const int error = error_for(asked))
            said.error = -error;
        else
            said.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        if (asked.data.nr == SYS_execve && said.error == 0)
            ours_.leaves(static_cast<int>(asked.pid));
        ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &said);
    }
    /// 0: let it pass.
    int error_for(const seccomp_notif& asked) {
        if (run_.report().phase != Report::Phase::faulty) return 0;
        const FaultyCall& call = *call_of(asked.data.nr);
        if (call.argument >= 0 && asked.data.args[call.argument] != call.value) return 0;
        if (!ours_.contains(static_cast<int>(asked.pid))) return 0;
        Site site = {.number = call.number, .nth = ++counts_[call.number]};
        if (!fault_) {
            site.eventfd = call.first_is_descriptor && is_eventfd(asked);
            sites_.push_back(site);
            return 0;
        }
        if (site.number != fault_->site.number || site.nth != fault_->site.nth) return 0;
        // Another order of threads: nothing fails there but by an interruption.
        if (call.first_is_descriptor && is_eventfd(asked) && fault_->error != EINTR) return 0;
        hit_ = true;
        return fault_->error;
    }
    static bool is_eventfd(const seccomp_notif& asked) {
        const std::string path = "/proc/" + std::to_string(asked.pid) + "/fd/" +
                                 std::to_string(static_cast<int>(asked.data.args[0]));
        char text[64] = {};
        return ::readlink(path.c_str(), text, sizeof text - 1) > 0 &&
               std::string_view(text).find("eventfd") != std::string_view::npos;
    }

    ForkedRun& run_;
    std::optional<Fault> fault_;
    Fd listener_;
    Ours ours_;
    std::map<int, int> counts_;
    std::vector<Site> sites_;
    bool hit_ = false;
};

/// Sanitizers end the program when they get no memory.
extern "C" void __asan_init() __attribute__((weak));
bool can_do_without_memory() { return &__asan_init == nullptr; }

class Proof {
  public:
    explicit Proof(Goal& goal)
        : goal_(goal),
          environment_{.backend = goal.backend() == "epoll" ? Backend::epoll : Backend::io_uring} {}

    void run() {
        for (const Scenario& scenario : scenarios()) {
            if (goal_.wants(scenario.name) || goal_.wants_part_of(scenario.name)) run(scenario);
        }
    }
    void tell() {
        const std::string what =
            std::to_string(run_scenarios_) + " scenarios, " + std::to_string(sites_) + " calls, ";
        goal_.figure(faults_, {.at_least = goal_.scaled<double>({100, 1500, 5000})},
                     what + "{} faults");
        goal_.figure(violations_, {.at_most = 0},
                     "{} crashed, hung, leaked or ended in an undocumented way");
        if (std::getenv("PROOF_VERBOSE") == nullptr) return;
        for (const auto& [text, count] : endings_) goal_.note(std::to_string(count) + " x " + text);
    }

  private:
    void run(const Scenario& scenario) {
        const std::vector<Fault> faults = faults_of(scenario);
        run_scenarios_++;
        const std::size_t most = goal_.scaled<std::size_t>({4, 45, 1'000'000});
        const std::size_t step = std::max<std::size_t>(1, faults.size() / most);
        for (std::size_t i = goal_.seed(0) % step; i < faults.size(); i += step) {
            const std::string name = name_of(scenario, faults[i]);
            if (goal_.wants(scenario.name) || goal_.wants(name)) put(scenario, faults[i], name);
        }
    }
    /// All faults that can be put into a scenario, in the order of a round for each call: so that
    /// any part of them has every call.
    std::vector<Fault> faults_of(const Scenario& scenario) {
        directory_.empty();
        ForkedRun counting(scenario, environment_, faults_in_child_);
        Supervisor supervisor(counting, std::nullopt);
        const Verdict verdict = supervisor.supervise();
        if (!verdict.violation.empty())
            miss(std::string(scenario.name) + " without a fault", verdict);
        std::vector<Fault> all;
        for (const Site& site : supervisor.sites()) add(all, scenario, site);
        for (int i = 1; i <= counting.report().closes; i++)
            for (const int error : close_errors)
                all.push_back({.site = {.number = close_call, .nth = i}, .error = error});
        sites_ += static_cast<int>(supervisor.sites().size());
        return all;
    }
    void add(std::vector<Fault>& all, const Scenario& scenario, const Site& site) const {
        const FaultyCall& call = *call_of(site.number);
        if (call.number == SYS_mmap && !can_do_without_memory()) return;
        for (const int error : call.errors)
            if (!site.eventfd || error == EINTR) all.push_back({site, error});
        const bool levels = scenario.waits_for_levels || environment_.backend == Backend::io_uring;
        if (call.can_block && levels && !site.eventfd) all.push_back({site, EAGAIN});
    }
    void put(const Scenario& scenario, const Fault& fault, const std::string& name) {
        int hangs = 0;
        Verdict verdict;
        do {  // a machine that is busy elsewhere is no hang
            directory_.empty();
            ForkedRun run(scenario, environment_, faults_in_child_);
            Supervisor supervisor(run, fault);
            verdict = supervisor.supervise();
            if (!supervisor.hit() && verdict.violation.empty()) return;  // another order of threads
        } while (verdict.hung && ++hangs < 2);
        faults_++;
        endings_[verdict.ending]++;
        if (!verdict.violation.empty()) miss(name, verdict);
    }
    void miss(const std::string& name, const Verdict& verdict) {
        violations_++;
        goal_.note("--only " + name + ": " + verdict.violation);
    }

    Goal& goal_;
    const Environment environment_;
    ScenarioDirectory directory_;
    AskParent faults_in_child_;
    int run_scenarios_ = 0;
    int sites_ = 0;
    int faults_ = 0;
    int violations_ = 0;
    std::map<std::string, int> endings_;
};

}  // namespace
}  // namespace asyncio::proof

int main(int argc, char** argv) {
    using namespace asyncio::proof;
    Goal goal("G2 every system call fails once", argc, argv);
    prepare_scenarios();
    Proof proof(goal);
    proof.run();
    proof.tell();
    return goal.result();
}
