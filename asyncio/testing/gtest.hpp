// SPDX-License-Identifier: MIT
//
// Asynchronous tests for GoogleTest (link asyncio::testing).
//
//     ASYNC_TEST(Cache, fills_once) {                        // the body is a coroutine
//         Cache cache;
//         ASYNC_EXPECT_EQ(co_await cache.get("a"), 1);
//     }
//     ASYNC_TEST(Cache, expires, {.timeout = 2h, .virtual_time = true}) {
//         co_await asyncio::sleep(1h);
//     }
//
//     class Rooms : public asyncio::testing::AsyncTest {
//       protected:
//         Coro<> async_set_up() override { server = co_await asyncio::start_server(...); }
//         Coro<> async_tear_down() override { server->close(); co_await server->wait_closed(); }
//         TestOptions async_options() const override { return {.virtual_time = true}; }
//         std::optional<asyncio::Server> server;
//     };
//     ASYNC_TEST_F(Rooms, are_empty_first) { ... }
//
//     class Sizes : public AsyncTest, public ::testing::WithParamInterface<int> {};
//     ASYNC_TEST_P(Sizes, work) { co_await f(GetParam()); }
//
// Each test has a loop of its own. What may happen to it, timeouts, leaks, tells test_run.hpp;
// assertions: gtest_assertions.hpp. SetUp() and TearDown() are GoogleTest's, before the loop is
// made and after it is gone; so a fixture's members outlive the loop, which the library's objects
// do well.
//
// Names are GoogleTest's: no underscore at the beginning or the end, suites of one kind each.
#pragma once

#include <asyncio/testing/gtest_assertions.hpp>

#include <string>

#include <gtest/gtest.h>

namespace asyncio::testing {

/// The fixture of asynchronous tests, and the base of yours.
class AsyncTest : public ::testing::Test {
  protected:
    /// Runs on the test's loop, before the body.
    virtual Coro<> async_set_up() { co_return; }
    /// Runs after the body, also if that or the set-up failed.
    virtual Coro<> async_tear_down() { co_return; }
    /// For all tests of a fixture; a test's own options take their place.
    virtual TestOptions async_options() const { return {}; }

    virtual Coro<> async_body() = 0;

    void run_async_test() {
        TestSteps steps;
        steps.set_up = [this]() -> Coro<> { co_await async_set_up(); };
        steps.body = [this]() -> Coro<> { co_await async_body(); };
        steps.tear_down = [this]() -> Coro<> { co_await async_tear_down(); };
        steps.failed = [] { return HasFatalFailure() || IsSkipped(); };
        const ::testing::TestInfo& test = *::testing::UnitTest::GetInstance()->current_test_info();
        for (const std::string& fault : run_test(std::move(steps), async_options()))
            ADD_FAILURE_AT(test.file(), test.line()) << fault;
    }
};

}  // namespace asyncio::testing

#define ASYNCIO_ASYNC_BODY_(suite, name) suite##_##name##_AsyncBody

// The class whose member the test's body is; GoogleTest's class derives from it.
#define ASYNCIO_ASYNC_BODY_CLASS_(suite, name, fixture, ...)                         \
    class ASYNCIO_ASYNC_BODY_(suite, name) : public fixture {                        \
      protected:                                                                     \
        static_assert(std::is_base_of_v<::asyncio::testing::AsyncTest, fixture>,     \
                      "the fixture of an asynchronous test derives from AsyncTest"); \
        ::asyncio::Coro<> async_body() override;                                     \
        ::asyncio::testing::TestOptions async_options() const override {             \
            ::asyncio::testing::TestOptions options = fixture::async_options();      \
            __VA_OPT__(options = __VA_ARGS__;)                                       \
            return options;                                                          \
        }                                                                            \
    };

#define ASYNCIO_ASYNC_TEST_(suite, name, fixture, id, ...)                               \
    ASYNCIO_ASYNC_BODY_CLASS_(suite, name, fixture, __VA_ARGS__)                         \
    GTEST_TEST_(suite, name, ASYNCIO_ASYNC_BODY_(suite, name), id) { run_async_test(); } \
    ::asyncio::Coro<> ASYNCIO_ASYNC_BODY_(suite, name)::async_body()

/// A test whose body is a coroutine; TestOptions in braces may follow. May share its suite with
/// TEST()s.
#define ASYNC_TEST(suite, name, ...)                                \
    ASYNCIO_ASYNC_TEST_(suite, name, ::asyncio::testing::AsyncTest, \
                        ::testing::internal::GetTestTypeId(), __VA_ARGS__)

/// The same with a fixture that derives from AsyncTest.
#define ASYNC_TEST_F(fixture, name, ...)                                                   \
    ASYNCIO_ASYNC_TEST_(fixture, name, fixture, ::testing::internal::GetTypeId<fixture>(), \
                        __VA_ARGS__)

/// The same with a fixture that has a parameter, to be instantiated by INSTANTIATE_TEST_SUITE_P.
#define ASYNC_TEST_P(fixture, name, ...)                                                          \
    ASYNCIO_ASYNC_BODY_CLASS_(fixture, name, fixture, __VA_ARGS__)                                \
    class GTEST_TEST_CLASS_NAME_(fixture, name) : public ASYNCIO_ASYNC_BODY_(fixture, name) {     \
        void TestBody() override { run_async_test(); }                                            \
        static int add_to_registry() {                                                            \
            ::testing::UnitTest::GetInstance()                                                    \
                ->parameterized_test_registry()                                                   \
                .GetTestSuitePatternHolder<fixture>(                                              \
                    #fixture, ::testing::internal::CodeLocation(__FILE__, __LINE__))              \
                ->AddTestPattern(#fixture, #name,                                                 \
                                 new ::testing::internal::TestMetaFactory<GTEST_TEST_CLASS_NAME_( \
                                     fixture, name)>(),                                           \
                                 ::testing::internal::CodeLocation(__FILE__, __LINE__));          \
            return 0;                                                                             \
        }                                                                                         \
        [[maybe_unused]] inline static const int registered_ = add_to_registry();                 \
    };                                                                                            \
    ::asyncio::Coro<> ASYNCIO_ASYNC_BODY_(fixture, name)::async_body()
