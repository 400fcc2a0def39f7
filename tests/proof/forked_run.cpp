// SPDX-License-Identifier: MIT
#include "forked_run.hpp"

#include <asyncio/testing/descriptors.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <system_error>

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" int __lsan_do_recoverable_leak_check() __attribute__((weak));

namespace asyncio::proof {
namespace {

/// More than a scenario's own deadline, once for each of its two runs.
constexpr Duration most_time = std::chrono::milliseconds(4500);

Report* current_report = nullptr;

void copy_text(char (&to)[1024], const std::string& from) {
    std::snprintf(to, sizeof to, "%s", from.c_str());
}

std::string join(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

/// Only what somebody asked to see.
void silence() {
    if (std::getenv("PROOF_VERBOSE") != nullptr) return;
    const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(null, 2);
    ::close(null);
}

}  // namespace

Report* ForkedRun::current() noexcept { return current_report; }

ForkedRun::ForkedRun(const Scenario& scenario, const Environment& environment, Faults& faults)
    : began_(Clock::now()) {
    void* memory =
        ::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    report_ = new (memory) Report();
    std::fflush(stdout);
    pid_ = ::fork();
    if (pid_ < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (pid_ == 0) child(scenario, environment, faults);
}

ForkedRun::~ForkedRun() {
    if (!ended_) {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    ::munmap(report_, sizeof(Report));
}

void ForkedRun::child(const Scenario& scenario, const Environment& environment, Faults& faults) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::setpgid(0, 0);
    silence();
    current_report = report_;
    faults.prepare(*report_);
    {
        const testing::OpenDescriptors before;
        report_->phase = Report::Phase::ready;
        while (report_->phase == Report::Phase::ready) ::sched_yield();
        faults.begin(*report_);
        const Ending first = run(scenario, environment);
        faults.end(*report_);
        report_->phase = Report::Phase::checking;
        report_->kind = first.kind;
        copy_text(report_->text, first.text);
        copy_text(report_->descriptors, join(testing::OpenDescriptors::since(before)));
        const Ending second = run(scenario, environment);
        report_->second_kind = second.kind;
        copy_text(report_->second_text, second.text);
        faults.check(*report_);
    }
    if (&__lsan_do_recoverable_leak_check != nullptr)
        report_->leaked_memory = __lsan_do_recoverable_leak_check() != 0;
    report_->phase = Report::Phase::done;
    ::syscall(SYS_exit_group, 0);
    std::abort();
}

bool ForkedRun::ended() noexcept {
    if (!ended_) ended_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
    if (ended_) ::kill(-pid_, SIGKILL);  // programs it has left behind
    return ended_;
}

bool ForkedRun::overdue() noexcept {
    if (Clock::now() - began_ < most_time) return false;
    killed_ = true;
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
    ended_ = true;
    return true;
}

Verdict ForkedRun::wait() {
    while (!ready() && !ended() && !overdue()) ::sched_yield();
    if (!ended_) go();
    while (!ended() && !overdue()) ::usleep(200);
    return verdict();
}

Verdict ForkedRun::verdict() const {
    const Report& report = *report_;
    Verdict verdict = {.ending = report.text};
    std::string& violation = verdict.violation;
    const auto phase = static_cast<int>(report.phase.load());
    if (killed_) {
        violation = "stuck in phase " + std::to_string(phase) + " " + report.text;
        verdict.hung = true;
    } else if (WIFSIGNALED(status_)) {
        violation = "ended by signal " + std::to_string(WTERMSIG(status_)) + " in phase " +
                    std::to_string(phase);
    } else if (report.phase != Report::Phase::done) {
        violation = "ended with status " + std::to_string(WEXITSTATUS(status_));
    } else if (report.kind == Ending::Kind::hung) {
        violation = report.text;
        verdict.hung = true;
    } else if (report.kind == Ending::Kind::undocumented) {
        violation = std::string("undocumented: ") + report.text;
    } else if (report.descriptors[0] != '\0') {
        violation = std::string("left open: ") + report.descriptors + "; " + report.text;
    } else if (report.closed_twice) {
        violation = "closed a descriptor that was not open";
    } else if (report.second_kind != Ending::Kind::succeeded) {
        violation = std::string("afterwards: ") + report.second_text;
        verdict.hung = report.second_kind == Ending::Kind::hung;
    } else if (report.leaked_memory) {
        violation = "leaked memory";
    }
    return verdict;
}

ScenarioDirectory::ScenarioDirectory() : path_("/tmp/asyncio-proof-" + std::to_string(::getpid())) {
    std::filesystem::create_directory(path_);
    set_scenario_directory(path_);
    ::setenv("TMPDIR", path_.c_str(), 1);
}

ScenarioDirectory::~ScenarioDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

void ScenarioDirectory::empty() const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
        std::filesystem::remove_all(entry.path(), ignored);
}

}  // namespace asyncio::proof
