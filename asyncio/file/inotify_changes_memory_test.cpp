// SPDX-License-Identifier: MIT
//
// Records that are read where there is no memory for what they tell.
#include <asyncio/base/scarce_memory_fixture_test.hpp>
#include <asyncio/file/inotify_changes.hpp>

#include <new>
#include <string>

#include <gtest/gtest.h>

#include <sys/inotify.h>

namespace asyncio::file {
namespace {

using Kind = fs::Change::Kind;
using memory_tests::left_before_failure;

using InotifyChangesMemory = memory_tests::ScarceMemory;

constexpr int kRecords = 20;
constexpr int kMostAllocations = 1000;  // of one read; it takes some tens

std::string names_in(int number) {
    std::string records;
    for (int i = 0; i < kRecords; ++i) {
        inotify_event event = {};
        event.wd = number;
        event.mask = IN_CREATE;
        event.len = 32;
        records.append(reinterpret_cast<const char*>(&event), sizeof event);
        records += std::to_string(i) + std::string(32 - std::to_string(i).size(), 'x');
    }
    return records;
}

TEST_F(InotifyChangesMemory, what_there_is_no_memory_for_is_told_as_lost) {
    const std::string records = names_in(1);
    bool failed = true;
    int number = 0;
    for (; failed && number < kMostAllocations; ++number) {
        InotifyChanges changes;
        changes.add(1, "a directory whose path takes memory");
        failed = false;
        left_before_failure = number;
        try {
            changes.read(std::as_bytes(std::span(records)));
        } catch (const std::bad_alloc&) {
            failed = true;
        }
        left_before_failure = -1;
        changes.run_dry();
        int told = 0;
        for (; !changes.empty() && changes.take().kind == Kind::created; ++told) continue;
        EXPECT_EQ(changes.take_lost(), failed) << number;
        EXPECT_TRUE(changes.empty()) << number;
        EXPECT_LE(told, failed ? kRecords - 1 : kRecords) << number;
    }
    EXPECT_GT(number, kRecords);
    EXPECT_FALSE(failed);
}

}  // namespace
}  // namespace asyncio::file
