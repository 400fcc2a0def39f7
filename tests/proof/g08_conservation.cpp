// SPDX-License-Identifier: MIT
//
// G8: ten million operations on locks, semaphores, conditions and queues, one in ten cancelled: in
// = out + left, acquires = releases, first come first served, no lost wake-up; and the same of a
// ThreadQueue between threads and loops. asyncio/sync/conservation_test.cpp and
// thread_queue_test.cpp do the work.
#include <tests/proof/tests_as_goal.hpp>

int main(int argc, char** argv) {
    asyncio::proof::Goal goal("G8 conservation", argc, argv);
    asyncio::proof::set_scale(goal.scaled<double>({0.03, 1, 30}));
    if (goal.has_seed()) ::setenv("ASYNCIO_TEST_SEED", std::to_string(goal.seed(0)).c_str(), 1);
    return asyncio::proof::run_tests(goal, "Conservation.*:ThreadQueue.*lose_nothing*");
}
