// SPDX-License-Identifier: MIT
//
// What no test can make the system write: an end that is told while its path is being added, and
// records that are torn. The rest is in watch_test.cpp, and under any bytes in tests/fuzz/.
#include <asyncio/file/inotify_changes.hpp>

#include <string>

#include <gtest/gtest.h>

#include <sys/inotify.h>

namespace asyncio::file {
namespace {

using Kind = fs::Change::Kind;

std::string record(int number, std::uint32_t mask, const std::string& name = {}) {
    inotify_event event = {};
    event.wd = number;
    event.mask = mask;
    event.len = static_cast<std::uint32_t>(name.size());
    return std::string(reinterpret_cast<const char*>(&event), sizeof event) + name;
}

void read(InotifyChanges& changes, const std::string& records) {
    changes.read(std::as_bytes(std::span(records)));
}

TEST(InotifyChanges, what_ends_while_it_is_added_is_gone) {
    InotifyChanges changes;
    {
        const InotifyChanges::Adding adding(changes);
        read(changes, record(1, IN_IGNORED));
        changes.add(1, "early");
    }
    ASSERT_FALSE(changes.empty());
    const fs::Change change = changes.take();
    EXPECT_EQ(change.kind, Kind::gone);
    EXPECT_EQ(change.watched, "early");
    EXPECT_TRUE(changes.paths().empty());
    // Of nobody, it says nothing about who is added later.
    read(changes, record(2, IN_IGNORED));
    changes.add(2, "later");
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(changes.paths().size(), 1u);
}

TEST(InotifyChanges, a_torn_record_is_told_as_lost) {
    InotifyChanges changes;
    changes.add(1, "here");
    const std::string whole = record(1, IN_CREATE, "name");
    read(changes, whole + whole.substr(0, whole.size() - 1));
    EXPECT_EQ(changes.take().path(), "here/name");
    EXPECT_EQ(changes.take().kind, Kind::overflow);
    EXPECT_TRUE(changes.empty());
    EXPECT_TRUE(changes.take_lost());
}

}  // namespace
}  // namespace asyncio::file
