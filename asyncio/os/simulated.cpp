// SPDX-License-Identifier: MIT
#include <asyncio/os/simulated.hpp>

namespace asyncio::os {

thread_local constinit SimulatedSystem* simulated_system = nullptr;

}  // namespace asyncio::os
