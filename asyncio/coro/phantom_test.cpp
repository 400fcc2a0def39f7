// SPDX-License-Identifier: MIT
//
// GCC 12.1 and 12.2 never run the body of a coroutine that declares nothing and awaits in a
// condition (PR 106188). With them such a coroutine must end the program with a message that names
// it, not hang; with other compilers, and without the fault, it must just work.
// Runs on a driver of its own.
#include <asyncio/coro/coro.hpp>

#include <cstring>

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
    explicit Chain(Coro<T> coro) : Driver(turns_) {
        innermost_ = &coro.release();
        innermost_->become_root(*this);
    }
    ~Chain() { destroy_chain(); }
    bool run() { return !resume_chain(); }

  private:
    void set_cancel_message(const std::string&) override {}
    const std::string& cancel_message() const noexcept override { return message_; }
    void finish() override {}
    void end_unstarted() noexcept override {}
    bool resume_watched() noexcept override { return resume_chain(); }

    Turns turns_;
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

/// The broken coroutine does not set its state, so its first resumption acts on what the memory
/// held: zero means "return at once", the hang that has to be reported; anything else is a trap.
/// Makes the next frames zero, where the pool keeps freed ones (not under AddressSanitizer).
void clear_cached_frames() {
    for (std::size_t size = 16; size <= FramePool::kLargest; size += 16) {
        void* memory[4];
        for (void*& block : memory) block = std::memset(FramePool::allocate(size), 0, size);
        for (void* block : memory) FramePool::deallocate(block, size);
    }
}

/// Runs it; with a broken compiler that must end the program.
void run_broken(Coro<> (*function)()) {
    seen = 0;
    clear_cached_frames();
    Coro<> coro = function();
    Chain chain(std::move(coro));
    EXPECT_TRUE(chain.run());
}
#if defined(__SANITIZE_ADDRESS__)
const char* const kReport = "";
#else
const char* const kReport =
    "coroutine .*awaits_in_its_condition.*phantom_test.cpp:[0-9]+.*suspended";
#endif

TEST(PhantomSuspensionDeathTest, is_reported_with_function_and_line) {
    if (kBroken)
        EXPECT_DEATH(run_broken(&awaits_in_its_condition), kReport);
    else
        run_broken(&awaits_in_its_condition);
}

TEST(PhantomSuspensionDeathTest, is_reported_when_another_awaits_it) {
    if (kBroken)
        EXPECT_DEATH(run_broken(&calls_the_broken_one), kReport);
    else
        run_broken(&calls_the_broken_one);
}

TEST(PhantomSuspension, a_coroutine_without_the_fault_is_not_reported) {
    seen = 0;
    Chain chain(declares_a_variable());
    EXPECT_TRUE(chain.run());
    EXPECT_GE(seen, 3);
}

}  // namespace
}  // namespace asyncio::coro
