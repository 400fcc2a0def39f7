// SPDX-License-Identifier: MIT
//
// What simulated worlds report: how many there were, and how much happened in them.
#pragma once

#include <asyncio/testing/simulation.hpp>

#include <cstdint>
#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace asyncio {

/// Run `world` with every seed (`worlds` of them unless the environment says otherwise), and say
/// how much happened.
template <class World>
void tell(const char* what, std::uint64_t worlds, World world) {
    const std::uint64_t tried = testing::seeds_to_try(worlds).size();
    const testing::SimulationResult sum = testing::simulate_seeds(worlds, world);
    const std::string figure =
        std::to_string(tried) + " seeds, " + std::to_string(sum.events) + " events";
    std::printf("%s: %s\n", what, figure.c_str());
    ::testing::Test::RecordProperty("figure", figure);
}

}  // namespace asyncio
