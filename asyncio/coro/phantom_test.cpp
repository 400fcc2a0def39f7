// SPDX-License-Identifier: MIT
//
// GCC 12.1 and 12.2 never run the body of a coroutine that declares nothing and awaits in a
// condition (PR 106188). With them such a coroutine must end the program with a message that names
// it, not hang; with other compilers, and without the fault, it must just work.
// Runs on a driver of its own.  asyncio-lint: off
#include <asyncio/coro/coro.hpp>

#include <gtest/gtest.h>

namespace asyncio::coro {
namespace {

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ == 12 && __GNUC_MINOR__ < 3
constexpr bool kBroken = true;
#else
constexpr bool kBroken = false;
#endif

class Chain final : public Driver {
  public:
    template <class T>
    explicit Chain(Coro<T> coro) : Driver(ready_ones_, [](Runnable&, Turn) {}) {
        innermost_ = &coro.release();
        innermost_->become_root(*this);
    }
    ~Chain() { destroy_chain(); }
    bool run() {
        resume_chain();
        return finished_;
    }

  private:
    void set_cancel_message(const std::string&) override {}
    const std::string& cancel_message() const noexcept override { return message_; }

    RunQueue ready_ones_;
    std::string message_;
};

int seen = 0;
Coro<bool> more() { co_return seen++ < 3; }

Coro<> awaits_in_its_condition() {
    while (co_await more()) ++seen;  // asyncio-lint: ok
}
Coro<> declares_a_variable() {
    while (const bool again = co_await more()) seen += again;
}
Coro<> calls_the_broken_one() {
    int declared = 0;
    co_await awaits_in_its_condition();
    (void)declared;
}

TEST(PhantomSuspensionDeathTest, is_reported_with_function_and_line) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    if (kBroken) {
        const char* expected =
            "coroutine .*awaits_in_its_condition.*phantom_test.cpp:[0-9]+.*106188";
        EXPECT_DEATH(
            {
                Chain chain(awaits_in_its_condition());
                chain.run();
            },
            expected);
        EXPECT_DEATH(
            {
                Chain chain(calls_the_broken_one());
                chain.run();
            },
            expected);
    } else {
        seen = 0;
        Chain chain(calls_the_broken_one());
        EXPECT_TRUE(chain.run());
    }
}

TEST(PhantomSuspension, a_coroutine_without_the_fault_is_not_reported) {
    seen = 0;
    Chain chain(declares_a_variable());
    EXPECT_TRUE(chain.run());
    EXPECT_GE(seen, 3);
}

}  // namespace
}  // namespace asyncio::coro
