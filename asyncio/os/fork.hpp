// SPDX-License-Identifier: MIT
//
// Was this process forked since? A child shares the parent's rings, epoll sets and eventfds: what
// it does to them happens to the parent (catalogue A17). Whoever owns one remembers the generation
// and stays away from it in the child.
#pragma once

#include <cstdint>

namespace asyncio::os {

/// How many fork()s lie between this process and the one that first asked. Any thread.
std::uint32_t fork_generation() noexcept;

/// The memory behind fork_generation(), for hot paths. Written only by the child inside fork(),
/// when it has but one thread.
extern std::uint32_t current_fork_generation;

}  // namespace asyncio::os
