// SPDX-License-Identifier: MIT
#include <asyncio/base/system_error.hpp>

#include <cerrno>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

TEST(SystemError, is_made_without_being_thrown) {
    static_assert(noexcept(make_system_error(ECONNREFUSED, "connect")));
    const std::exception_ptr error = make_system_error(ECONNREFUSED, "connect");
    bool caught = false;
    try {
        std::rethrow_exception(error);
    } catch (const std::system_error& refused) {
        caught = true;
        EXPECT_EQ(refused.code(), std::errc::connection_refused);
        EXPECT_EQ(std::string(refused.what()), "connect: Connection refused");
    }
    EXPECT_TRUE(caught);
}

}  // namespace
}  // namespace asyncio
