// SPDX-License-Identifier: MIT
//
// G5: ten thousand simulated worlds, each run twice: nothing lost, doubled or out of order, nobody
// stuck when the faults are over, and the same trace both times; nothing that a program
// acknowledged is lost with the power, and no work with a killed child. tests/simulated_*_test.cpp
// do the work.
#include <tests/proof/tests_as_goal.hpp>

int main(int argc, char** argv) {
    asyncio::proof::Goal goal("G5 simulated worlds", argc, argv);
    asyncio::proof::set_scale(goal.scaled<double>({0.2, 20, 2000}));
    ::setenv("ASYNCIO_SEEDS_TWICE", "1", 1);
    if (goal.has_seed()) ::setenv("ASYNCIO_SEED", std::to_string(goal.seed(0)).c_str(), 1);
    return asyncio::proof::run_tests(goal,
                                     "SimulatedWorlds.*:SimulatedFiles.no_acknowledged*:"
                                     "SimulatedFiles.write_atomic*:"
                                     "SimulatedPrograms.a_supervisor*:"
                                     "SimulatedWatch.nothing_is_lost*");
}
