// SPDX-License-Identifier: MIT
#include <asyncio/os/error.hpp>

#include <cerrno>
#include <string>
#include <system_error>

#include <gtest/gtest.h>

namespace asyncio::os {
namespace {

TEST(Error, says_what_was_attempted_and_what_the_system_said_once) {
    try {
        throw_system_error(ECONNREFUSED, "connect 127.0.0.1:1");
        FAIL();
    } catch (const std::system_error& error) {
        EXPECT_EQ(std::string(error.what()), "connect 127.0.0.1:1: Connection refused");
        EXPECT_EQ(error.code(), std::errc::connection_refused);
        EXPECT_EQ(error.code().value(), ECONNREFUSED);
    }
}

}  // namespace
}  // namespace asyncio::os
