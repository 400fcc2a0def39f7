// SPDX-License-Identifier: MIT
//
// GoogleTest's assertions for coroutines: they take awaits, evaluate each argument once, and their
// fatal kind ends the test from any depth. Needs GoogleTest only where it is included.
//
//     ASYNC_EXPECT_EQ(co_await f(), 3) << "and a reason";
//     ASYNC_ASSERT_TRUE(co_await server.is_up());          // throws AssertionFailed if not
//     ASYNC_EXPECT_THROW(co_await f(), std::system_error);
//
// Why not GoogleTest's: ASSERT_* contain `return`, which no coroutine may; GoogleTest does not
// promise that an argument stands in a full expression, once, in none that GCC 12 miscompiles; and
// EXPECT_THROW hides that it takes a statement with an await in it. EXPECT_* without an await in
// them are right everywhere.
//
// ASYNC_ASSERT_* throws, so that it also ends the test out of a coroutine it awaits, whatever that
// returns. In a task of its own it ends that task; who awaits it is ended in turn.
//
// Each expands to one statement to which a message can be streamed.
#pragma once

#include <asyncio/base/error.hpp>
#include <asyncio/testing/test_run.hpp>

#include <exception>
#include <string>

#include <gtest/gtest.h>

namespace asyncio::testing {

/// Takes what is streamed to an assertion that failed, and reports it.
class Failure {
  public:
    Failure(const char* file, int line, std::string text) : file_(file), line_(line) {
        text_ = std::move(text);
    }
    void operator=(const ::testing::Message& message) const { report(message); }

  protected:
    void report(
        const ::testing::Message& message,
        ::testing::TestPartResult::Type type = ::testing::TestPartResult::kNonFatalFailure) const {
        ::testing::internal::AssertHelper(type, file_, line_, text_.c_str()) = message;
    }

  private:
    const char* file_;
    int line_;
    std::string text_;
};

class FatalFailure final : public Failure {
  public:
    using Failure::Failure;
    [[noreturn]] void operator=(const ::testing::Message& message) const {
        report(message, ::testing::TestPartResult::kFatalFailure);
        throw AssertionFailed();
    }
};

class Skip final : public Failure {
  public:
    using Failure::Failure;
    [[noreturn]] void operator=(const ::testing::Message& message) const {
        report(message, ::testing::TestPartResult::kSkip);
        throw TestSkipped();
    }
};

inline ::testing::AssertionResult expect_bool(const char* text, bool value, bool wanted) {
    if (value == wanted) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure()
           << "Value of: " << text << "\n  Actual: " << (value ? "true" : "false")
           << "\nExpected: " << (wanted ? "true" : "false");
}

/// What a statement that should have thrown did instead.
inline std::string instead_of(const char* statement, const char* type,
                              const std::exception_ptr& error) {
    return std::string("Expected: ") + statement + " throws " + type + ".\n  Actual: it " +
           (error ? "throws " + describe(error) : std::string("throws nothing")) + ".";
}

}  // namespace asyncio::testing

// `switch` keeps an else that follows from being taken for ours.
#define ASYNCIO_CHECK_(result, Failed)                                                          \
    switch (0)                                                                                  \
    case 0:                                                                                     \
    default:                                                                                    \
        if (const ::testing::AssertionResult asyncio_result_ = result)                          \
            ;                                                                                   \
        else                                                                                    \
            ::asyncio::testing::Failed(__FILE__, __LINE__, asyncio_result_.failure_message()) = \
                ::testing::Message()

#define ASYNC_EXPECT_TRUE(value) \
    ASYNCIO_CHECK_(::asyncio::testing::expect_bool(#value, static_cast<bool>(value), true), Failure)
#define ASYNC_EXPECT_FALSE(value)                                                            \
    ASYNCIO_CHECK_(::asyncio::testing::expect_bool(#value, static_cast<bool>(value), false), \
                   Failure)
#define ASYNC_ASSERT_TRUE(value)                                                            \
    ASYNCIO_CHECK_(::asyncio::testing::expect_bool(#value, static_cast<bool>(value), true), \
                   FatalFailure)
#define ASYNC_ASSERT_FALSE(value)                                                            \
    ASYNCIO_CHECK_(::asyncio::testing::expect_bool(#value, static_cast<bool>(value), false), \
                   FatalFailure)

#define ASYNCIO_COMPARE_(Helper, a, b, Failed) \
    ASYNCIO_CHECK_(::testing::internal::Helper(#a, #b, a, b), Failed)

#define ASYNC_EXPECT_EQ(a, b) ASYNCIO_COMPARE_(EqHelper::Compare, a, b, Failure)
#define ASYNC_EXPECT_NE(a, b) ASYNCIO_COMPARE_(CmpHelperNE, a, b, Failure)
#define ASYNC_EXPECT_LT(a, b) ASYNCIO_COMPARE_(CmpHelperLT, a, b, Failure)
#define ASYNC_EXPECT_LE(a, b) ASYNCIO_COMPARE_(CmpHelperLE, a, b, Failure)
#define ASYNC_EXPECT_GT(a, b) ASYNCIO_COMPARE_(CmpHelperGT, a, b, Failure)
#define ASYNC_EXPECT_GE(a, b) ASYNCIO_COMPARE_(CmpHelperGE, a, b, Failure)
#define ASYNC_ASSERT_EQ(a, b) ASYNCIO_COMPARE_(EqHelper::Compare, a, b, FatalFailure)
#define ASYNC_ASSERT_NE(a, b) ASYNCIO_COMPARE_(CmpHelperNE, a, b, FatalFailure)
#define ASYNC_ASSERT_LT(a, b) ASYNCIO_COMPARE_(CmpHelperLT, a, b, FatalFailure)
#define ASYNC_ASSERT_LE(a, b) ASYNCIO_COMPARE_(CmpHelperLE, a, b, FatalFailure)
#define ASYNC_ASSERT_GT(a, b) ASYNCIO_COMPARE_(CmpHelperGT, a, b, FatalFailure)
#define ASYNC_ASSERT_GE(a, b) ASYNCIO_COMPARE_(CmpHelperGE, a, b, FatalFailure)

// With <gmock/gmock.h>.
#define ASYNC_EXPECT_THAT(value, matcher)                                                          \
    ASYNCIO_CHECK_(::testing::internal::MakePredicateFormatterFromMatcher(matcher)(#value, value), \
                   Failure)
#define ASYNC_ASSERT_THAT(value, matcher)                                                          \
    ASYNCIO_CHECK_(::testing::internal::MakePredicateFormatterFromMatcher(matcher)(#value, value), \
                   FatalFailure)

// The statement may await; nothing awaits in a catch. As in GoogleTest, a goto leads to where the
// message is streamed.
#define ASYNCIO_JOIN_(a, b) ASYNCIO_JOINED_(a, b)
#define ASYNCIO_JOINED_(a, b) a##b
#define ASYNCIO_THROWS_(statement, Type, Failed)                                             \
    if (std::string asyncio_instead_; true) {                                                \
        try {                                                                                \
            statement;                                                                       \
            asyncio_instead_ = ::asyncio::testing::instead_of(#statement, #Type, nullptr);   \
        } catch (const Type&) {                                                              \
        } catch (...) {                                                                      \
            asyncio_instead_ =                                                               \
                ::asyncio::testing::instead_of(#statement, #Type, std::current_exception()); \
        }                                                                                    \
        if (!asyncio_instead_.empty()) goto ASYNCIO_JOIN_(asyncio_did_not_throw_, __LINE__); \
    } else                                                                                   \
        ASYNCIO_JOIN_(asyncio_did_not_throw_, __LINE__)                                      \
            : ::asyncio::testing::Failed(__FILE__, __LINE__, asyncio_instead_) =             \
                  ::testing::Message()

#define ASYNC_EXPECT_THROW(statement, Type) ASYNCIO_THROWS_(statement, Type, Failure)
#define ASYNC_ASSERT_THROW(statement, Type) ASYNCIO_THROWS_(statement, Type, FatalFailure)

/// End the test here, as failed or as skipped.
#define ASYNC_FAIL() \
    ::asyncio::testing::FatalFailure(__FILE__, __LINE__, "Failed") = ::testing::Message()
#define ASYNC_SKIP() ::asyncio::testing::Skip(__FILE__, __LINE__, "") = ::testing::Message()
