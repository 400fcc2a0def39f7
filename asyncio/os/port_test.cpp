// SPDX-License-Identifier: MIT
#include <asyncio/os/port.hpp>

#include <stdexcept>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

namespace asyncio {
namespace {

TEST(Port, takes_every_integer_in_range_and_no_other) {
    EXPECT_EQ(Port(0).number(), 0);
    EXPECT_EQ(Port(65535L).number(), 65535);
    EXPECT_EQ(Port(std::uint16_t{80}).number(), 80);
    EXPECT_THROW(Port(65536), std::out_of_range);
    EXPECT_THROW(Port(-1), std::out_of_range);
    EXPECT_THROW(Port(static_cast<signed char>(-1)), std::out_of_range);
    EXPECT_THROW(Port(0x1'0000'0050ull), std::out_of_range);
}

TEST(Port, is_made_of_no_bool_and_no_character) {
    static_assert(std::is_convertible_v<int, Port> && std::is_convertible_v<unsigned char, Port>);
    static_assert(!std::is_convertible_v<bool, Port>);
    static_assert(!std::is_convertible_v<char, Port>);
    static_assert(!std::is_convertible_v<char32_t, Port>);
}

TEST(Port, reads_what_was_typed_and_quotes_what_is_no_port) {
    EXPECT_EQ(Port("8888"), Port(8888));
    EXPECT_EQ(Port(std::string("0")), Port(0));
    for (const std::string text : {"", "abc", "80x", " 80", "-1", "+1", "65536", "8888888888"}) {
        try {
            (void)Port(text);
            ADD_FAILURE() << text;
        } catch (const std::invalid_argument& error) {
            EXPECT_EQ(error.what(), "not a port (0-65535): '" + text + "'");
        }
    }
}

}  // namespace
}  // namespace asyncio
