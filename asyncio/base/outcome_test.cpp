// SPDX-License-Identifier: MIT
#include <asyncio/base/outcome.hpp>

#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

std::exception_ptr failure() { return std::make_exception_ptr(std::runtime_error("failed")); }

TEST(Outcome, holds_a_value) {
    Outcome<std::string> outcome("value");
    EXPECT_TRUE(outcome);
    EXPECT_TRUE(outcome.has_value());
    EXPECT_EQ(*outcome, "value");
    EXPECT_EQ(outcome->size(), 5U);
    EXPECT_EQ(outcome.error(), nullptr);
    EXPECT_FALSE(outcome.cancelled());
    const Outcome<std::string>& constant = outcome;
    EXPECT_EQ(*constant, "value");
    EXPECT_EQ(std::move(outcome).value(), "value");
}

TEST(Outcome, holds_an_error) {
    Outcome<std::string> outcome(failure());
    EXPECT_FALSE(outcome);
    EXPECT_NE(outcome.error(), nullptr);
    EXPECT_FALSE(outcome.cancelled());
    EXPECT_THROW(outcome.value(), std::runtime_error);
    EXPECT_THROW(*outcome, std::runtime_error);
    EXPECT_THROW(outcome.take(), std::runtime_error);
    EXPECT_TRUE(Outcome<int>(std::make_exception_ptr(CancelledError())).cancelled());
}

TEST(Outcome, starts_empty_and_is_set_once) {
    Outcome<std::string> outcome;
    EXPECT_TRUE(outcome.empty());
    EXPECT_FALSE(outcome);
    outcome.set_value(3, 'x');
    EXPECT_EQ(*outcome, "xxx");
    outcome.set_error(failure());  // a destructor threw after the value was set
    EXPECT_THROW(*outcome, std::runtime_error);
}

TEST(Outcome, copies_and_moves_release_what_they_replace) {
    const auto shared = std::make_shared<int>(1);
    Outcome<std::shared_ptr<int>> a(shared);
    Outcome<std::shared_ptr<int>> b(a);
    EXPECT_EQ(shared.use_count(), 3);
    b = Outcome<std::shared_ptr<int>>(failure());
    EXPECT_EQ(shared.use_count(), 2);
    b = a;
    a = std::move(b);
    EXPECT_EQ(**a, 1);
    const Outcome<std::shared_ptr<int>>& self = a;
    a = self;
    EXPECT_EQ(**a, 1);
    a = Outcome<std::shared_ptr<int>>(failure());
    EXPECT_EQ(shared.use_count(), 1);
    b = a;
    EXPECT_THROW(b.value(), std::runtime_error);
}

TEST(Outcome, takes_values_that_only_move) {
    Outcome<std::unique_ptr<int>> outcome(std::make_unique<int>(5));
    Outcome<std::unique_ptr<int>> moved(std::move(outcome));
    const std::unique_ptr<int> value = moved.take();
    EXPECT_EQ(*value, 5);
    static_assert(!std::is_copy_constructible_v<Outcome<std::unique_ptr<int>>>);
}

TEST(Outcome, of_void) {
    Outcome<> good;
    EXPECT_TRUE(good);
    good.value();
    Outcome<> bad(failure());
    EXPECT_FALSE(bad);
    EXPECT_THROW(bad.value(), std::runtime_error);
    EXPECT_THROW(*bad, std::runtime_error);
    bad = good;
    bad.take();
}

TEST(Outcome, a_constructor_that_throws_leaves_it_empty) {
    struct Thrower {
        explicit Thrower(int) { throw std::runtime_error("no"); }
    };
    Outcome<Thrower> outcome;
    EXPECT_THROW(outcome.set_value(1), std::runtime_error);
    EXPECT_TRUE(outcome.empty());
}

}  // namespace
}  // namespace asyncio
