// SPDX-License-Identifier: MIT
//
// A goal whose work the rooms' own GoogleTests do, in their long form: links their sources, runs
// those whose names match, and prints a figure for each, from the property "figure" that the test
// records
// (`RecordProperty("figure", "20000 rounds, ...")`), or from its name. Failures of the test stand
// before it.
#pragma once

#include <cstring>
#include <string>
#include <tests/proof/figure.hpp>

#include <gtest/gtest.h>

namespace asyncio::proof {

class FigurePrinter final : public ::testing::EmptyTestEventListener {
  public:
    explicit FigurePrinter(Goal& goal) : goal_(goal) {}

  private:
    void OnTestPartResult(const ::testing::TestPartResult& part) override {
        if (!part.failed() || ++failures_ > 20) return;
        const char* file = part.file_name() != nullptr ? part.file_name() : "?";
        goal_.note(std::string(file) + ":" + std::to_string(part.line_number()) + ": " +
                   part.summary());
    }
    void OnTestEnd(const ::testing::TestInfo& test) override {
        const std::string name = std::string(test.test_suite_name()) + "." + test.name();
        const ::testing::TestResult& result = *test.result();
        if (result.Skipped()) {
            goal_.note("skipped: " + name + ": " + result.GetTestPartResult(0).summary());
            return;
        }
        std::string text = name;
        for (int i = 0; i < result.test_property_count(); ++i)
            if (std::strcmp(result.GetTestProperty(i).key(), "figure") == 0)
                text += std::string(": ") + result.GetTestProperty(i).value();
        if (result.Failed()) goal_.note("failed: " + name);
        goal_.line(!result.Failed(), text);
        failures_ = 0;
    }

    Goal& goal_;
    int failures_ = 0;
};

/// `filter` as GoogleTest's --gtest_filter; --only chooses among those. Returns the exit status.
inline int run_tests(Goal& goal, std::string filter) {
    int argc = 1;
    char name[] = "proof";
    char* argv[] = {name, nullptr};
    ::testing::InitGoogleTest(&argc, argv);
    if (!goal.only().empty()) filter = goal.only();
    GTEST_FLAG_SET(filter, filter);
    ::testing::TestEventListeners& listeners = ::testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FigurePrinter(goal));
    const int failed = RUN_ALL_TESTS();
    return failed != 0 ? 1 : goal.result();
}

/// The factor of the rooms' long tests: ASYNCIO_TEST_SCALE, unless the environment has one.
inline void set_scale(double scale) {
    ::setenv("ASYNCIO_TEST_SCALE", Goal::number(scale).c_str(), 0);
}

}  // namespace asyncio::proof
