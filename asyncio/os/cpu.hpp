// SPDX-License-Identifier: MIT
//
// Cores and threads as the system sees them.
#pragma once

#include <string>

namespace asyncio::os {

/// How many cores this thread may run on (its affinity mask, as taskset and containers set it); at
/// least 1.
int usable_cores() noexcept;

/// Keep this thread on the `index`-th core of those it may use, counted round and round.
/// std::system_error if the system refuses.
void pin_to_core(int index);

/// The name of this thread in debuggers and top; the system keeps the first 15 bytes.
void name_this_thread(const std::string& name) noexcept;
std::string name_of_this_thread();

}  // namespace asyncio::os
