// SPDX-License-Identifier: MIT
//
// What no test can make the system write: an end that is told while its path is being added, and
// records that are torn. The rest is in watch_test.cpp, and under any bytes in tests/fuzz/.
#include <asyncio/file/inotify_changes.hpp>

#include <string>
#include <vector>

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
    {  // also when it is watched already, under another path
        const InotifyChanges::Adding adding(changes);
        changes.add(3, "old");
        read(changes, record(3, IN_IGNORED));
        changes.add(3, "new");
    }
    EXPECT_EQ(changes.take().watched, "old");
    ASSERT_FALSE(changes.empty());
    EXPECT_EQ(changes.take().watched, "new");
    EXPECT_TRUE(changes.paths().empty());
    // Of nobody, it says nothing about who is added later.
    read(changes, record(2, IN_IGNORED));
    changes.add(2, "later");
    EXPECT_TRUE(changes.empty());
    EXPECT_EQ(changes.paths().size(), 1u);
}

TEST(InotifyChanges, what_nobody_has_added_is_unwanted) {
    InotifyChanges changes;
    changes.add(1, "known");
    {
        const InotifyChanges::Adding adding(changes);
        read(changes, record(1, IN_CREATE) + record(2, IN_CREATE));
        EXPECT_EQ(changes.take_unwanted(), std::vector<int>()) << "it may be what is added";
    }
    read(changes, record(1, IN_CREATE) + record(2, IN_CREATE) + record(2, IN_DELETE));
    EXPECT_EQ(changes.take_unwanted(), std::vector<int>{2});
    read(changes, record(2, IN_IGNORED));
    EXPECT_EQ(changes.take_unwanted(), std::vector<int>());
    EXPECT_EQ(changes.paths().size(), 1u);
}

/// What is left to be told, as "created", "overflow".
std::string told(InotifyChanges& changes) {
    std::string kinds;
    while (!changes.empty()) {
        const Kind kind = changes.take().kind;
        kinds += kind == Kind::created ? "created " : kind == Kind::overflow ? "overflow " : "? ";
    }
    return kinds;
}

TEST(InotifyChanges, an_overflow_is_told_behind_what_was_in_the_queue) {
    InotifyChanges changes;
    changes.add(1, "here");
    const std::string created = record(1, IN_CREATE, "name");
    const std::string overflow = record(-1, IN_Q_OVERFLOW);
    const auto give = [&](const std::string& records, std::size_t behind) {
        changes.read(std::as_bytes(std::span(records)), behind);
        return told(changes);
    };
    EXPECT_EQ(give(overflow + created, 0), "created overflow ");
    EXPECT_TRUE(changes.take_lost());
    EXPECT_EQ(give(created + overflow, 2 * created.size()), "created ");
    EXPECT_EQ(give(created, 5000), "created ");
    EXPECT_FALSE(changes.take_lost());
    EXPECT_EQ(give(created, 4000), "created overflow ") << "not what came after it";
    // One that is read meanwhile is told for itself.
    EXPECT_EQ(give(overflow, 2 * created.size()), "");
    EXPECT_EQ(give(created + overflow, 2 * created.size()), "created ");
    EXPECT_EQ(give(created, created.size()), "created overflow ");
    EXPECT_EQ(give(created, 0), "created overflow ");
    EXPECT_EQ(give(created, 0), "created ");
    // With nothing behind it one says it all; and the queue may be emptier than it was.
    EXPECT_EQ(give(overflow, created.size()), "");
    EXPECT_EQ(give(created + overflow, 0), "created overflow ");
    EXPECT_EQ(give(overflow, 1000), "");
    changes.run_dry();
    EXPECT_EQ(told(changes), "overflow ");
    changes.run_dry();
    EXPECT_EQ(told(changes), "");
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
