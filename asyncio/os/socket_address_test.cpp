// SPDX-License-Identifier: MIT
#include <asyncio/os/socket_address.hpp>

#include <sstream>
#include <stdexcept>

#include <gtest/gtest.h>

#include <sys/socket.h>

namespace asyncio {
namespace {

TEST(SocketAddress, literals_print_as_they_were_read) {
    for (const char* text : {"127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80",
                             "[::]:0", "[2001:db8::1]:443", "[::ffff:1.2.3.4]:5", "/run/x.sock"}) {
        const auto address = SocketAddress::parse(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->to_string(), text);
    }
}

TEST(SocketAddress, parts) {
    const auto address = SocketAddress::parse("::1", 8080);
    ASSERT_TRUE(address);
    EXPECT_EQ(address->family(), AF_INET6);
    EXPECT_EQ(address->host(), "::1");
    EXPECT_EQ(address->port(), 8080);
    EXPECT_FALSE(address->is_unix());
    EXPECT_EQ(SocketAddress::parse("fe80::1%1", 1)->to_string(), "[fe80::1%1]:1");
}

TEST(SocketAddress, E2_only_canonical_numbers_are_taken) {
    for (const char* host : {"127.1",
                             "0x7f000001",
                             "0x7f.0.0.1",
                             "2130706433",
                             "127.0.0.01",
                             "0127.0.0.1",
                             "256.0.0.1",
                             "1.2.3.4.5",
                             "1.2.3.",
                             " 127.0.0.1",
                             "127.0.0.1 ",
                             "",
                             "localhost",
                             "::1::",
                             "1:2:3",
                             "[::1]",
                             ":::",
                             "fe80::1%",
                             "fe80::1%no-such-interface",
                             "fe80::1%00"})
        EXPECT_FALSE(SocketAddress::parse(host, 80)) << host;
    EXPECT_FALSE(SocketAddress::parse(std::string_view("127.0.0.1\0x", 11), 80));
    EXPECT_FALSE(SocketAddress::parse(std::string_view("[::1\0x]:80", 10)));
    for (const char* text :
         {"127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:080",
          "127.0.0.1:+80", "::1:80", "[::1]", "[127.0.0.1]:80", "[]:80", ":80", "127.0.0.1:80 "})
        EXPECT_FALSE(SocketAddress::parse(text)) << text;
}

TEST(SocketAddress, unix_paths_and_abstract_names) {
    const SocketAddress path = SocketAddress::unix_path("/tmp/a");
    EXPECT_TRUE(path.is_unix());
    EXPECT_EQ(path.host(), "/tmp/a");
    EXPECT_EQ(path.port(), 0);
    const std::string name("\0name", 5);
    const SocketAddress abstract = SocketAddress::unix_path(name);
    EXPECT_EQ(abstract.host(), name);
    EXPECT_EQ(abstract.to_string(), "@name");
    EXPECT_EQ(SocketAddress::unix_path(std::string(107, 'a')).host().size(), 107u);
    EXPECT_THROW(SocketAddress::unix_path(std::string(108, 'a')), std::invalid_argument);
    EXPECT_THROW(SocketAddress::unix_path(""), std::invalid_argument);
    EXPECT_THROW(SocketAddress::unix_path(std::string_view("a\0b", 3)), std::invalid_argument);
}

TEST(SocketAddress, goes_to_a_stream_as_text) {
    std::ostringstream out;
    out << *SocketAddress::parse("::1", 80);
    EXPECT_EQ(out.str(), "[::1]:80");
}

TEST(SocketAddress, compares_as_a_value) {
    const auto one = *SocketAddress::parse("127.0.0.1:1");
    auto two = *SocketAddress::parse("127.0.0.1:2");
    EXPECT_NE(one, two);
    two.set_port(1);
    EXPECT_EQ(one, two);
    EXPECT_EQ(SocketAddress(), SocketAddress());
    EXPECT_EQ(SocketAddress().to_string(), "");
    EXPECT_NE(one, SocketAddress());
}

}  // namespace
}  // namespace asyncio
