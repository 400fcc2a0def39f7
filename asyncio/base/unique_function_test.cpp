// SPDX-License-Identifier: MIT
#include <asyncio/base/unique_function.hpp>

#include <array>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

int twice(int x) { return 2 * x; }

TEST(UniqueFunction, is_empty_or_not) {
    UniqueFunction<int(int)> f;
    EXPECT_FALSE(f);
    f = &twice;
    EXPECT_TRUE(f);
    EXPECT_EQ(f(21), 42);
    f = nullptr;
    EXPECT_FALSE(f);
}

TEST(UniqueFunction, owns_small_and_big_callables) {
    const auto shared = std::make_shared<int>(1);
    {
        std::array<char, 100> big{};
        UniqueFunction<int()> small([shared] { return *shared; });
        UniqueFunction<int()> large([shared, big] { return *shared + big[0]; });
        EXPECT_EQ(shared.use_count(), 3);
        UniqueFunction<int()> moved_small(std::move(small));
        UniqueFunction<int()> moved_large(std::move(large));
        EXPECT_EQ(shared.use_count(), 3);
        EXPECT_EQ(moved_small() + moved_large(), 2);
        moved_small = std::move(moved_large);
        EXPECT_EQ(shared.use_count(), 2);
        EXPECT_EQ(moved_small(), 1);
        UniqueFunction<int()>& self = moved_small;
        moved_small = std::move(self);
        EXPECT_EQ(moved_small(), 1);
    }
    EXPECT_EQ(shared.use_count(), 1);
}

TEST(UniqueFunction, owns_what_only_moves_and_passes_it_on) {
    UniqueFunction<std::unique_ptr<int>(std::unique_ptr<int>)> f(
        [extra = std::make_unique<int>(1)](std::unique_ptr<int> in) {
            *in += *extra;
            return in;
        });
    EXPECT_EQ(*f(std::make_unique<int>(41)), 42);
    UniqueFunction<void(std::string&)> by_reference([](std::string& s) { s += "!"; });
    std::string text = "hey";
    by_reference(text);
    EXPECT_EQ(text, "hey!");
}

TEST(UniqueFunction, a_result_nobody_wants_is_dropped) {
    int calls = 0;
    std::array<char, 100> big{};
    UniqueFunction<void()> small([&] { return ++calls; });
    UniqueFunction<void()> large([&calls, big] { return calls += 1 + big[0]; });
    small();
    large();
    EXPECT_EQ(calls, 2);
}

TEST(UniqueFunction, keeps_its_state_between_calls) {
    UniqueFunction<int()> count([n = 0]() mutable { return ++n; });
    count();
    EXPECT_EQ(count(), 2);
}

static_assert(!std::is_copy_constructible_v<UniqueFunction<void()>>);
static_assert(!std::is_constructible_v<UniqueFunction<void()>, int>);
static_assert(!std::is_constructible_v<UniqueFunction<void(int)>, void (*)()>);
static_assert(std::is_nothrow_move_constructible_v<UniqueFunction<void()>>);

}  // namespace
}  // namespace asyncio
