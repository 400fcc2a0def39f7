// SPDX-License-Identifier: MIT
//
// Whole programs of several hosts on a bad network, thousands of times over
// (testing/simulation.hpp). What must hold in each: on every connection nothing is lost, doubled or
// out of order; when the network is good again everything ends.
//
// ASYNCIO_TEST_SCALE=20 makes ten thousand worlds of the five hundred; ASYNCIO_SEED=N looks at one.
#pragma once

#include <asyncio/asyncio.hpp>
#include <asyncio/testing/simulation.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace asyncio::simulated_worlds {

using namespace std::chrono_literals;
using testing::Simulation;
using testing::SimulationResult;

inline constexpr std::uint64_t kWorlds = 100;         // of each program
inline constexpr std::uint64_t kFewestEvents = 2000;  // of a world, on the average

/// Run `world` with every seed, and say how much happened.
template <class World>
void tell(const char* what, World world) {
    const std::uint64_t worlds = testing::seeds_to_try(kWorlds).size();
    const SimulationResult sum = testing::simulate_seeds(kWorlds, world);
    const auto hours = std::chrono::duration_cast<std::chrono::hours>(sum.took).count();
    const std::string figure = std::to_string(worlds) + " seeds, " + std::to_string(sum.events) +
                               " events, " + std::to_string(hours) + " h of virtual time";
    std::printf("%s: %s\n", what, figure.c_str());
    ::testing::Test::RecordProperty("figure", figure);
    EXPECT_GE(sum.events, worlds * kFewestEvents);
}

/// What a broken connection throws: not our business here.
template <class A>
Coro<bool> survived(A awaitable) {
    Outcome<void> outcome = co_await as_outcome(std::move(awaitable));
    if (outcome.cancelled()) outcome.value();
    if (!outcome) {
        try {
            std::rethrow_exception(outcome.error());
        } catch (const std::system_error&) {
        } catch (const IncompleteReadError&) {
        } catch (const ExceptionGroup& group) {
            if (group.subgroup<std::logic_error>()) throw;
        }
        co_return false;
    }
    co_return true;
}

}  // namespace asyncio::simulated_worlds
