// SPDX-License-Identifier: MIT
#include <asyncio/os/fork.hpp>

#include <pthread.h>

namespace asyncio::os {

std::uint32_t current_fork_generation = 0;

std::uint32_t fork_generation() noexcept {
    // vfork() and posix_spawn() do not run the handler, and need none: the child only execs.
    static const int registered =
        ::pthread_atfork(nullptr, nullptr, [] { current_fork_generation++; });
    static_cast<void>(registered);
    return current_fork_generation;
}

}  // namespace asyncio::os
