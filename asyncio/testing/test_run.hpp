// SPDX-License-Identifier: MIT
//
// run_test: one asynchronous test, from set-up to the search for what it left behind. Knows no test
// framework: it gives back sentences, and testing/gtest.hpp makes GoogleTest failures of them.
//
//     make loop -> set_up -> body -> tear_down -> look for tasks -> end the loop -> look for
//     descriptors
//                    |         |         ^
//                    '- fails -'---------'      tear_down runs in any case
//
// Each of the three steps may take `timeout`, on the loop's clock. A step that takes longer is
// cancelled, and the report says where every task of the loop stood. A step that throws fails, and
// the report has the coroutines that the exception passed through; what goes to the loop's
// exception handler fails the test, too, unless the test sets a handler of its own.
//
// What is left: tasks that still run kSettle after the tear-down (they get that long to notice that
// their peer is gone), and descriptors that are open when the loop is gone and were not before.
//
// Threads: of the caller, in which no loop may run.
#pragma once

#include <asyncio/base/time.hpp>
#include <asyncio/base/unique_function.hpp>
#include <asyncio/kernel/backend.hpp>
#include <asyncio/task/task.hpp>

#include <string>
#include <vector>

namespace asyncio::testing {

struct TestOptions {
    Duration timeout = std::chrono::seconds(30);  // for each step
    bool virtual_time = false;                    // see virtual_clock.hpp
    bool check_leaks = true;                      // of tasks and descriptors
    bool debug = false;                           // the loop's debug mode
    Backend backend = Backend::automatic;
};

/// An assertion failed and was reported; the step ends here. No std::exception: code under test
/// that catches those does not swallow it.
class AssertionFailed final {
  public:
    const char* what() const noexcept { return "an assertion failed"; }
};

/// The test decided not to run on; as AssertionFailed, but not a failure.
class TestSkipped final {
  public:
    const char* what() const noexcept { return "the test was skipped"; }
};

/// A function that returns a coroutine; becomes a task of the test's loop. Called once at most.
class TestStep {
  public:
    TestStep() = default;
    template <class F>
        requires(!std::is_same_v<std::remove_cvref_t<F>, TestStep>)
    TestStep(F&& f)
        : start_([function = std::forward<F>(f)]() mutable {
              return create_task(std::move(function));
          }) {}

    explicit operator bool() const noexcept { return static_cast<bool>(start_); }
    Task<> start() { return start_(); }

  private:
    UniqueFunction<Task<>()> start_;
};

struct TestSteps {
    TestStep set_up;
    TestStep body;
    TestStep tear_down;
    /// Asked after set_up: true if the framework knows of a reason not to run the body.
    UniqueFunction<bool()> failed;
};

/// How long tasks may go on after the tear-down before they are called leaks.
inline constexpr Duration kSettle = std::chrono::milliseconds(100);

/// Run them on a new loop. A sentence (or more lines) for each fault; none: passed.
std::vector<std::string> run_test(TestSteps steps, TestOptions options = {});

}  // namespace asyncio::testing
