// SPDX-License-Identifier: MIT
#include <asyncio/base/option.hpp>
#include <asyncio/base/time.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

using namespace asyncio;
using namespace std::chrono_literals;

namespace {

struct Options {
    Option<Duration> timeout = {};
    Option<bool> debug = {};
    Option<std::string_view> name = {};
    Option<std::span<const std::string>> env = {};
};
static_assert(std::is_trivially_destructible_v<Options>);
static_assert(std::is_trivially_copyable_v<Option<Duration>>);
static_assert(!std::is_convertible_v<Option<int>, bool>);
static_assert(!std::is_convertible_v<Option<int>, Option<bool>>);
static_assert(!std::is_convertible_v<std::string, Option<Duration>>);
static_assert(!std::is_convertible_v<Option<Duration>, Duration>);

constexpr Duration given(Option<Duration> limit) { return limit.value_or(7ns); }
static_assert(given(1us) == 1000ns);

TEST(Option, is_empty_unless_something_is_given) {
    const Options none = {};
    EXPECT_FALSE(none.timeout);
    EXPECT_FALSE(none.debug.has_value());
    EXPECT_EQ(none.timeout, std::nullopt);
    EXPECT_EQ(given({}), 7ns);
    EXPECT_EQ(given(std::nullopt), 7ns);
}

TEST(Option, takes_what_converts_to_its_value) {
    const std::vector<std::string> env = {"A=1", "B=2"};
    const Options all = {.timeout = 1s, .debug = false, .name = "n", .env = env};
    EXPECT_EQ(*all.timeout, 1s);
    EXPECT_TRUE(all.debug.has_value());
    EXPECT_FALSE(*all.debug);
    EXPECT_EQ(all.name->size(), 1u);
    EXPECT_EQ(all.env->data(), env.data());
    EXPECT_EQ(all.timeout, 1000ms);
    EXPECT_NE(all.timeout, Option<Duration>(2s));
    EXPECT_NE(all.timeout, std::nullopt);
}

TEST(Option, is_assigned_and_emptied_like_a_std_optional) {
    Option<Duration> limit;
    limit = 3ms;
    EXPECT_EQ(limit, 3ms);
    limit = std::nullopt;
    EXPECT_FALSE(limit);
    limit = {};
    EXPECT_FALSE(limit);
    EXPECT_THROW((void)limit.value(), std::bad_optional_access);
    limit = 4ms;
    EXPECT_EQ(limit.value(), 4ms);
    limit.reset();
    EXPECT_FALSE(limit);
}

TEST(Option, converts_from_and_to_std_optional) {
    EXPECT_EQ(given(std::optional<Duration>(5ns)), 5ns);
    EXPECT_EQ(given(std::optional<Duration>()), 7ns);
    EXPECT_EQ(given(std::optional<std::chrono::seconds>(1s)), 1s);
    const std::optional<Duration> full = Option<Duration>(5ns);
    const std::optional<Duration> empty = Option<Duration>();
    EXPECT_EQ(full, 5ns);
    EXPECT_FALSE(empty);
}

}  // namespace
