// SPDX-License-Identifier: MIT
#include <asyncio/base/made_exception.hpp>

#include <exception>
#include <memory>
#include <utility>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

struct Witness {
    explicit Witness(std::shared_ptr<int> what) noexcept : seen(std::move(what)) {}
    std::shared_ptr<int> seen;
};

TEST(MadeException, is_thrown_as_any_other_and_destroyed_once) {
    const auto seen = std::make_shared<int>(42);
    const MadeException<Witness> made = make_exception<Witness>(seen);
    EXPECT_EQ(seen.use_count(), 2);
    try {
        throw_made(made);
    } catch (const Witness& caught) {
        EXPECT_EQ(&caught, made.object);
        EXPECT_EQ(*caught.seen, 42);
    }
    EXPECT_EQ(seen.use_count(), 1);
}

TEST(MadeException, can_be_kept_and_thrown_again) {
    const auto seen = std::make_shared<int>(42);
    std::exception_ptr kept;
    try {
        throw_made(make_exception<Witness>(seen));
    } catch (...) {
        kept = std::current_exception();
    }
    EXPECT_EQ(seen.use_count(), 2);
    EXPECT_THROW(std::rethrow_exception(kept), Witness);
    kept = nullptr;
    EXPECT_EQ(seen.use_count(), 1);
}

}  // namespace
}  // namespace asyncio
