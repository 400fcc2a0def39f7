// SPDX-License-Identifier: MIT
//
// G7, its storms: cancels against completions, twenty thousand times a kind of operation, until
// both have won often. The rooms' own storms do the work: the kernel's, and those of sockets,
// streams and files.
#include <tests/proof/tests_as_goal.hpp>

int main(int argc, char** argv) {
    asyncio::proof::Goal goal("G7 raced cancels", argc, argv);
    asyncio::proof::set_scale(goal.scaled<double>({0.02, 1, 50}));
    ::setenv("ASYNCIO_STORM_ROUNDS", goal.scaled<const char*>({"2000", "20000", "1000000"}), 0);
    return asyncio::proof::run_tests(goal, goal.slice() ? "*KernelCancel.*storm*/chosen:OpenStorm.*"
                                                        : "*KernelCancel.*storm*:*Storm.*");
}
