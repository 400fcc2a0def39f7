// SPDX-License-Identifier: MIT
//
// Scenarios of a kernel's operations: what the library's own layers seldom ask for, or never
// together.
#pragma once

#include <span>

#include "scenarios.hpp"

namespace asyncio::proof {

std::span<const Scenario> ring_scenarios();

}  // namespace asyncio::proof
