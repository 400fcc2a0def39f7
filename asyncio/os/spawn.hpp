// SPDX-License-Identifier: MIT
//
// spawn: start a program.
//
// The child borrows our memory until it runs the program (clone with CLONE_VM and CLONE_VFORK, as
// posix_spawn does), so starting costs the same for a parent of any size; and it is born with a
// pidfd, so no signal ever reaches a stranger who inherited its number. Everything the child does
// between is a plain system call: no allocation, no lock, no C library state (the sanitizers'
// included). What fails there is reported through the shared memory: a program that cannot be
// started is an error here, not an exit status.
//
// The child has: every signal at its default action and none blocked; the descriptors of
// `descriptors`, and no other.
//
// Any thread.
#pragma once

#include <asyncio/os/fd.hpp>
#include <asyncio/os/resource_limit.hpp>

#include <cstddef>
#include <optional>
#include <span>

struct rlimit;

namespace asyncio::os {

/// The child's descriptor `child` is our `parent`; they may overlap in any way.
struct DescriptorMapping {
    int child;
    int parent;
};

/// What pointers lead to must live until spawn() returns.
struct SpawnRequest {
    /// Where the program may be, tried in this order; null-terminated.
    const char* const* candidates = nullptr;
    const char* const* arguments = nullptr;    // null-terminated
    const char* const* environment = nullptr;  // null-terminated
    std::span<const DescriptorMapping> descriptors = {};
    const char* directory = nullptr;  // to work in; null: ours
    bool new_session = false;
    int terminal = -1;  // the child's descriptor that becomes its controlling terminal
    std::optional<int> process_group = {};  // 0: its own
    std::optional<unsigned> umask = {};
    std::optional<unsigned> user = {};
    std::optional<unsigned> group = {};
    std::optional<std::span<const unsigned>> groups = {};  // supplementary
    std::span<const ResourceLimit> limits = {};
};

enum class SpawnStep : unsigned char {
    clone,
    descriptors,
    session,
    process_group,
    limits,
    groups,
    group,
    user,
    directory,
    program
};

struct Spawned {
    int pid = -1;
    Fd pidfd;
    int error = 0;  // errno of what failed; then there is no child
    SpawnStep failed = SpawnStep::clone;
};

Spawned spawn(const SpawnRequest& request) noexcept;

/// How a process ended: its exit status, or -N if signal N ended it. Takes the zombie away.
/// nullopt while it runs. `lost`: somebody else took it (waitpid(-1), SIGCHLD ignored).
struct ExitStatus {
    bool ended = false;
    bool lost = false;
    int returncode = 0;
};
ExitStatus reap(int pidfd) noexcept;

/// 0 or -errno; -ESRCH when it has been reaped.
int send_signal(int pidfd, int signal) noexcept;

}  // namespace asyncio::os
