// SPDX-License-Identifier: MIT
//
// G1: io_uring refused, in all the ways it is.
//
// In each mode a process runs every scenario with the backend left to the library:
//   EPERM, ENOSYS    a seccomp filter refuses the system calls, as containers and old kernels do
//   killed           the filter kills who calls them: with ASYNCIO_BACKEND=epoll nobody does
//   memory           as nobody, with RLIMIT_MEMLOCK 0
//   full             no descriptor is free when the loop is made: a clear error, and all works
//   later
//
// With --backend nothing is refused, and every scenario runs on that one: what another version of
// Linux is asked (g01_linux_6_1.py).
#include <functional>
#include <vector>

#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "figure.hpp"
#include "forked_run.hpp"

namespace asyncio::proof {
namespace {

/// What the system does with the three calls of io_uring from now on.
void filter_io_uring(unsigned action) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter = {std::size(program), program};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) ::_exit(100);
}

void become_nobody_without_locked_memory() {
    const rlimit none = {0, 0};
    constexpr unsigned nobody = 65534;
    if (::chmod(scenario_directory().c_str(), 0777) != 0 ||
        ::setrlimit(RLIMIT_MEMLOCK, &none) != 0 || ::setgroups(0, nullptr) != 0 ||
        ::setgid(nobody) != 0 || ::setuid(nobody) != 0)
        ::_exit(101);
}

/// A loop made now says what is missing.
void try_without_descriptors() {
    std::vector<os::Fd> taken;
    const rlimit few = {64, 64};
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int fd = 0; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken.emplace_back(fd);
    const Ending ending = run(*find_scenario("sleep_and_timers"), {});
    const bool clear = ending.kind == Ending::Kind::documented &&
                       ending.text.find("Too many open files") != std::string::npos;
    if (!clear) std::printf("    full: %s\n", ending.text.c_str());
    if (!clear) ::_exit(102);
}

struct Mode {
    const char* name;
    std::function<void()> enter;
};

/// How many scenarios failed in a process that is in this mode; -1 if it did not end by itself.
int failures_in(const Mode& mode, const ScenarioDirectory& directory) {
    directory.empty();
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
        mode.enter();
        ::asyncio::set_log_level(LogLevel::error);
        int failures = 0;
        for (const Scenario& scenario : scenarios()) {
            const Ending ending = run(scenario, {});
            if (ending.kind == Ending::Kind::succeeded) continue;
            failures++;
            std::printf("    %s, %s: %s\n", mode.name, std::string(scenario.name).c_str(),
                        ending.text.c_str());
        }
        std::fflush(stdout);
        ::_exit(failures);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace
}  // namespace asyncio::proof

int main(int argc, char** argv) {
    using namespace asyncio::proof;
    Goal goal("G1 fallback", argc, argv);
    prepare_scenarios();
    const ScenarioDirectory directory;
    const std::vector<Mode> nothing_refused = {{"nothing refused", [] {}}};
    const std::vector<Mode> refusals = {
        {"seccomp EPERM", [] { filter_io_uring(SECCOMP_RET_ERRNO | EPERM); }},
        {"seccomp ENOSYS", [] { filter_io_uring(SECCOMP_RET_ERRNO | ENOSYS); }},
        {"seccomp kill, ASYNCIO_BACKEND=epoll",
         [] {
             ::setenv("ASYNCIO_BACKEND", "epoll", 1);
             filter_io_uring(SECCOMP_RET_KILL_PROCESS);
         }},
        {"no locked memory, not root", become_nobody_without_locked_memory},
        {"no free descriptor at the start", try_without_descriptors},
    };
    for (const Mode& mode : goal.backend().empty() ? refusals : nothing_refused) {
        if (!goal.wants(mode.name)) continue;
        if (&mode == &refusals[3] && ::geteuid() != 0) {
            goal.note("skipped: " + std::string(mode.name) + ": only root can become nobody");
            continue;
        }
        const int failures = failures_in(mode, directory);
        goal.figure(failures, {.at_most = 0, .at_least = 0},
                    std::string(mode.name) + ": " + std::to_string(scenarios().size()) +
                        " scenarios, {} failed");
    }
    return goal.result();
}
