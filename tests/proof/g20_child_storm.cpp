// SPDX-License-Identifier: MIT
//
// G20: ten thousand children killed, dropped and cancelled at random moments, 32 at once: no
// zombie, no descriptor left, no signal to a stranger; with SIGCHLD ignored and as process 1, too.
// 1 GiB through a child and back in flat memory. asyncio/subprocess/child_storm_test.cpp does the
// work.
#include <tests/proof/tests_as_goal.hpp>

int main(int argc, char** argv) {
    asyncio::proof::Goal goal("G20 child storm", argc, argv);
    asyncio::proof::set_scale(goal.scaled<double>({0.01, 1, 10}));
    return asyncio::proof::run_tests(goal, "ChildStorm.*");
}
