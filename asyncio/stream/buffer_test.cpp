// SPDX-License-Identifier: MIT
#include <asyncio/stream/buffer.hpp>

#include <random>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

namespace asyncio::stream {
namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

TEST(Buffer, takes_from_the_front_what_came_in_at_the_back) {
    Buffer buffer;
    EXPECT_TRUE(buffer.empty());
    buffer.append(bytes("abc"));
    buffer.append(bytes("def"));
    EXPECT_EQ(buffer.view(), "abcdef");
    EXPECT_EQ(buffer.take(2), "ab");
    buffer.consume(1);
    EXPECT_EQ(buffer.view(), "def");
    buffer.prepend(bytes("xyz"));
    EXPECT_EQ(buffer.view(), "xyzdef");
    EXPECT_EQ(buffer.size(), 6u);
    EXPECT_EQ(buffer.take(6), "xyzdef");
    EXPECT_TRUE(buffer.empty());
    EXPECT_EQ(buffer.take(0), "");
}

TEST(Buffer, is_a_string_under_a_random_mix) {
    std::mt19937 random(7);
    const auto below = [&](std::size_t n) {
        return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
    };
    Buffer buffer;
    std::string model;
    for (int i = 0; i < 20000; ++i) {
        const std::string piece(below(below(20) == 0 ? 5000 : 40), static_cast<char>('a' + i % 26));
        const std::size_t part = below(model.size() + 1);
        switch (below(8)) {
            case 0:
            case 1:
            case 2:
                buffer.append(bytes(piece));
                model += piece;
                break;
            case 3:
                buffer.prepend(bytes(piece));
                model.insert(0, piece);
                break;
            case 4:
                buffer.consume(part);
                model.erase(0, part);
                break;
            case 5:
            case 6:
                ASSERT_EQ(buffer.take(part), model.substr(0, part));
                model.erase(0, part);
                break;
            default:
                if (below(10) == 0) {
                    buffer.clear();
                    model.clear();
                }
        }
        ASSERT_EQ(buffer.size(), model.size());
        ASSERT_EQ(buffer.view(), model);
    }
}

TEST(Buffer, a_spare_block_comes_back_empty) {
    {
        Buffer first;
        first.append(bytes(std::string(100'000, 'x')));
        first.consume(100'000);
    }
    Buffer second;
    second.append(bytes("small"));
    second.append(bytes(std::string(2000, 'y')));
    EXPECT_EQ(second.view(), "small" + std::string(2000, 'y'));
}

TEST(Buffer, taking_in_small_pieces_is_linear) {
    // A queue of 4 MiB that is taken 16 bytes at a time: quadratic moves would take minutes.
    Buffer buffer;
    const std::string block(1 << 20, 'x');
    for (int i = 0; i < 4; ++i) buffer.append(bytes(block));
    std::size_t taken = 0;
    while (!buffer.empty()) {
        buffer.append(bytes("........"));
        const std::size_t part = std::min<std::size_t>(16, buffer.size());
        buffer.consume(part);
        taken += part;
    }
    EXPECT_GT(taken, std::size_t{4} << 20);
}

}  // namespace
}  // namespace asyncio::stream
