// SPDX-License-Identifier: MIT
//
// Trees of gather, wait, TaskGroup, timeout, shield, cancelled tasks and sequences, with requests
// to cancel from outside: bytes choose the tree and its times, the model of the random tests says
// how each node has to end.
//
// covers: task/task_group.cpp task/timeout.cpp task/shield.cpp task/gather_core.cpp
//     task/completion_watch.cpp task/sleep.cpp task/wait.cpp
#include <asyncio/task/tree_comparison_fixture_test.hpp>

#include "fuzz.hpp"

namespace {

using asyncio::fuzz::Input;

/// Choices: one byte each for the first, so that small programs are short; all different, as the
/// model wants its times.
struct Choices {
    Input& input;
    std::uint64_t counter = 0;

    std::uint64_t operator()() {
        const std::uint64_t high = input.byte();
        // Times are up to 10^12: the byte decides most of it, the counter tells equal ones apart.
        return high + 256 * (high * 15'000'000 + ++counter * 7919);
    }
};

void run(asyncio::Coro<> program) { asyncio::fuzz::run(std::move(program)); }

}  // namespace

FUZZ_TARGET(tree) {
    using namespace asyncio::tree_model;
    const Program program = Generator(Choices{input}).program();
    const Verdict verdict = compare(program, &run);
    if (!verdict.difference.empty()) {
        std::fprintf(stderr, "%s\n", report(program, &run).c_str());
        std::abort();
    }
}
