// SPDX-License-Identifier: MIT
//
// Random programs that have to end as the model of tree_model_fixture_test.hpp says.
//
// ASYNCIO_TEST_SCALE=50 runs the whole million of steps.
#include <asyncio/task/task_fixture_test.hpp>
#include <asyncio/task/tree_comparison_fixture_test.hpp>

#include <cstdlib>
#include <random>

namespace asyncio {
namespace {

using namespace tree_model;

void run(Coro<> program) { testing::run(std::move(program)); }

TEST(TreeModel, random_trees_end_as_the_rules_say) {
    const char* text = std::getenv("ASYNCIO_TEST_SCALE");
    const double scale = text != nullptr ? std::atof(text) : 1.0;
    const auto wanted = static_cast<std::size_t>(20'000 * scale);
    std::size_t steps = 0;
    std::size_t programs = 0;
    std::size_t skipped = 0;
    for (std::uint64_t seed = 1; steps < wanted; ++seed) {
        const Program program = Generator(std::mt19937_64(seed)).program();
        const Verdict verdict = compare(program, &run);
        ASSERT_EQ(verdict.difference, "") << "seed " << seed << ": " << report(program, &run);
        steps += verdict.steps;
        ++programs;
        if (verdict.ambiguous) ++skipped;
    }
    EXPECT_LT(skipped * 4, programs);  // the comparison means something
    RecordProperty("steps", static_cast<int>(steps));
    RecordProperty("programs", static_cast<int>(programs));
    RecordProperty("skipped", static_cast<int>(skipped));
}

}  // namespace
}  // namespace asyncio
