// SPDX-License-Identifier: MIT
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/spawn.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

#if defined(__clang__)
#define ASYNCIO_PLAIN __attribute__((no_sanitize("address", "thread", "undefined")))
#else
#define ASYNCIO_PLAIN \
    __attribute__((no_sanitize_address, no_sanitize_thread, no_sanitize_undefined))
#endif

#ifdef __GLIBC__
// clone under its other name: ThreadSanitizer takes the first for a fork and locks itself twice, in
// the parent and in the child that shares its memory.
extern "C" int __clone(int (*)(void*), void*, int, void*, ...) noexcept;
#define ASYNCIO_CLONE ::__clone
#else
#define ASYNCIO_CLONE ::clone
#endif

namespace asyncio::os {

namespace {

constexpr std::size_t kStack = 64 * 1024;
constexpr int kSignals = 64;
constexpr std::size_t kMostDescriptors = 1024;

/// The system's own sigaction, which has nothing to do with libc's.
struct KernelAction {
    std::uintptr_t handler;
    unsigned long flags;
    std::uintptr_t restorer;
    std::uint64_t mask;
};

/// What parent and child share while the child has no program of its own.
struct Birth {
    const SpawnRequest& request;
    int* scratch;  // as many as there are descriptors
    SpawnStep step = SpawnStep::descriptors;
    int error = 0;
};

// --- in the child: system calls only -----------------------------------------------------------

/// As syscall(), but without touching the parent's errno... which is the same thread's here;
/// -errno.
template <class... Args>
ASYNCIO_PLAIN long call(long number, Args... arguments) noexcept {
    const long result = ::syscall(number, arguments...);
    return result < 0 ? -errno : result;
}

ASYNCIO_PLAIN long reset_signals() noexcept {
    KernelAction action = {};  // SIG_DFL
    for (int signal = 1; signal <= kSignals; ++signal)
        call(SYS_rt_sigaction, signal, &action, nullptr, sizeof action.mask);
    const std::uint64_t none = 0;
    return call(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none);
}

/// First all sources out of the way of all targets, then each to its place.
ASYNCIO_PLAIN long place_descriptors(const Birth& birth) noexcept {
    const auto wanted = birth.request.descriptors;
    int above = 3;
    for (const DescriptorMapping& mapping : wanted)
        if (mapping.child >= above) above = mapping.child + 1;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const long moved = call(SYS_fcntl, wanted[i].parent, F_DUPFD_CLOEXEC, above);
        if (moved < 0) return moved;
        birth.scratch[i] = static_cast<int>(moved);
    }
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const long placed = call(SYS_dup3, birth.scratch[i], wanted[i].child, 0);
        if (placed < 0) return placed;
    }
    return 0;
}

/// Close everything but the children's; they are few, so the gaps are found by looking.
ASYNCIO_PLAIN long close_others(std::span<const DescriptorMapping> wanted) noexcept {
    unsigned from = 0;
    for (;;) {
        unsigned next = ~0u;  // the smallest to be kept at or after `from`
        for (const DescriptorMapping& mapping : wanted) {
            const auto child = static_cast<unsigned>(mapping.child);
            if (child >= from && child < next) next = child;
        }
        if (next > from) {
            const long closed = call(SYS_close_range, from, next == ~0u ? ~0u : next - 1, 0);
            if (closed < 0) return closed;
        }
        if (next == ~0u) return 0;
        from = next + 1;
    }
}

ASYNCIO_PLAIN long set_session(const SpawnRequest& request) noexcept {
    if (request.new_session || request.terminal >= 0) {
        const long session = call(SYS_setsid);
        if (session < 0) return session;
    }
    return request.terminal >= 0 ? call(SYS_ioctl, request.terminal, TIOCSCTTY, 0) : 0;
}

ASYNCIO_PLAIN long set_limits(std::span<const ResourceLimit> limits) noexcept {
    for (const ResourceLimit& limit : limits) {
        const unsigned long pair[2] = {limit.soft, limit.hard};
        const long result = call(SYS_prlimit64, 0, limit.resource, pair, nullptr);
        if (result < 0) return result;
    }
    return 0;
}

/// As execvp decides: a place that is not there or not allowed leads to the next one.
ASYNCIO_PLAIN long run_program(const SpawnRequest& request) noexcept {
    long result = -ENOENT;
    bool denied = false;
    for (const char* const* candidate = request.candidates; *candidate != nullptr; ++candidate) {
        result = call(SYS_execve, *candidate, request.arguments, request.environment);
        if (result == -EACCES)
            denied = true;
        else if (result != -ENOENT && result != -ENOTDIR && result != -ESTALE)
            return result;
    }
    return denied ? -EACCES : result;
}

ASYNCIO_PLAIN long become(Birth& birth) noexcept {
    const SpawnRequest& request = birth.request;
    const auto failed = [&birth](SpawnStep step, long result) {
        birth.step = step;
        return result < 0;
    };
    long r = reset_signals();
    if (failed(SpawnStep::descriptors, r = place_descriptors(birth))) return r;
    if (failed(SpawnStep::descriptors, r = close_others(request.descriptors))) return r;
    if (failed(SpawnStep::session, r = set_session(request))) return r;
    if (request.process_group &&
        failed(SpawnStep::process_group, r = call(SYS_setpgid, 0, *request.process_group)))
        return r;
    if (request.umask) call(SYS_umask, *request.umask);
    if (failed(SpawnStep::limits, r = set_limits(request.limits))) return r;
    if (request.groups && failed(SpawnStep::groups, r = call(SYS_setgroups, request.groups->size(),
                                                             request.groups->data())))
        return r;
    if (request.group && failed(SpawnStep::group, r = call(SYS_setgid, *request.group))) return r;
    if (request.user && failed(SpawnStep::user, r = call(SYS_setuid, *request.user))) return r;
    if (request.directory != nullptr &&
        failed(SpawnStep::directory, r = call(SYS_chdir, request.directory)))
        return r;
    birth.step = SpawnStep::program;
    return run_program(request);
}

ASYNCIO_PLAIN int child_main(void* argument) noexcept {
    Birth& birth = *static_cast<Birth*>(argument);
    birth.error = static_cast<int>(-become(birth));
    ::syscall(SYS_exit_group, 127);
    __builtin_unreachable();
}

// --- in the parent -----------------------------------------------------------------------------

/// A stack for the child, with a page below it that catches an overflow.
class ChildStack {
  public:
    ChildStack() noexcept
        : memory_(::mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0)) {
        if (valid()) ::mprotect(memory_, 4096, PROT_NONE);
    }
    ChildStack(const ChildStack&) = delete;
    ChildStack& operator=(const ChildStack&) = delete;
    ~ChildStack() {
        if (valid()) ::munmap(memory_, kStack);
    }
    bool valid() const noexcept { return memory_ != MAP_FAILED; }
    void* top() const noexcept { return static_cast<char*>(memory_) + kStack; }

  private:
    void* memory_;
};

/// Nothing of ours may run in the child, which shares our memory: no signal handler either.
class SignalsBlocked {
  public:
    SignalsBlocked() noexcept {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
};

Spawned failure(SpawnStep step, int error) noexcept {
    return Spawned{.pid = -1, .pidfd = Fd(), .error = error, .failed = step};
}

}  // namespace

Spawned spawn(const SpawnRequest& request) noexcept {
    if (simulated_system != nullptr) [[unlikely]]
        return simulated_system->programs().spawn(request);
    int scratch[kMostDescriptors];
    if (request.descriptors.size() > kMostDescriptors)
        return failure(SpawnStep::descriptors, EMFILE);
    const ChildStack stack;
    if (!stack.valid()) return failure(SpawnStep::clone, errno);
    Birth birth{.request = request, .scratch = scratch};
    int pidfd = -1;
    int pid = -1;
    int error = 0;
    {
        const SignalsBlocked blocked;
        pid = ASYNCIO_CLONE(&child_main, stack.top(),
                            CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &birth, &pidfd);
        error = errno;
    }
    if (pid < 0) return failure(SpawnStep::clone, error);
    Spawned spawned{.pid = pid, .pidfd = Fd(pidfd)};
    if (birth.error == 0) return spawned;
    siginfo_t gone = {};
    while (::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &gone, WEXITED) !=
               0 &&
           errno == EINTR) {
    }
    return failure(birth.step, birth.error);
}

ExitStatus reap(int pidfd) noexcept {
    if (SimulatedSystem* const system = system_of(pidfd)) [[unlikely]]
        return system->programs().reap(pidfd);
    siginfo_t info = {};
    int result = 0;
    do {
        result = ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
                          WEXITED | WNOHANG);
    } while (result != 0 && errno == EINTR);
    if (result != 0) return ExitStatus{.ended = true, .lost = true, .returncode = 255};
    if (info.si_pid == 0) return ExitStatus{};
    const bool exited = info.si_code == CLD_EXITED;
    return ExitStatus{
        .ended = true, .lost = false, .returncode = exited ? info.si_status : -info.si_status};
}

int send_signal(int pidfd, int signal) noexcept {
    if (SimulatedSystem* const system = system_of(pidfd)) [[unlikely]]
        return system->programs().send_signal(pidfd, signal);
    return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) == 0 ? 0 : -errno;
}

}  // namespace asyncio::os
