// SPDX-License-Identifier: MIT
//
// What the storms of cancels share: rounds, the count of what might leak, and numbered data.
#pragma once

#include <asyncio/net/net_fixture_test.hpp>
#include <asyncio/task/task_listing.hpp>

#include <charconv>
#include <random>
#include <string>
#include <string_view>

namespace asyncio::net_tests {

/// Rounds, and what must not have grown when they are over.
struct Storm {
    Storm() : rounds(scaled(20'000, 2'000)), often(rounds / 40), descriptors(open_descriptors()) {}

    void check(int cancelled, int completed) const {
        ::testing::Test::RecordProperty(
            "figure", std::to_string(rounds) + " rounds, " + std::to_string(completed) +
                          " completed, " + std::to_string(cancelled) +
                          " cancelled, 0 lost (limit " + std::to_string(often) + " of each, 0)");
        EXPECT_EQ(cancelled + completed, rounds);
        EXPECT_GE(cancelled, often);
        EXPECT_GE(completed, often);
        EXPECT_EQ(all_tasks().size(), 1u);
        EXPECT_EQ(open_descriptors(), descriptors);
    }

    const int rounds;
    const int often;
    const int descriptors;
};

inline Coro<> turns(unsigned count) {
    for (; count > 0; --count) co_await sleep(0s);
}

/// Numbers in a row, as text.
struct Sequence {
    std::string next_chunk(std::mt19937& random) {
        std::string chunk;
        for (unsigned n = 1 + random() % 20; n > 0; --n) chunk += std::to_string(next++) + " ";
        return chunk;
    }
    int next = 0;
};

/// Checks that what it is given, joined, is such a row.
struct SequenceCheck {
    void take(std::string_view data) {
        rest += data;
        for (std::size_t end = rest.find(' '); end != std::string::npos; end = rest.find(' ')) {
            int value = -1;
            std::from_chars(rest.data(), rest.data() + end, value);
            if (value != next) ++gaps;
            next = value + 1;
            rest.erase(0, end + 1);
        }
    }
    std::string rest;
    int next = 0;
    int gaps = 0;
};

}  // namespace asyncio::net_tests
