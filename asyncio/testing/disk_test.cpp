// SPDX-License-Identifier: MIT
//
// The disk of a simulated host by the calls of os/: POSIX's rules, faults, and above all what is
// left after a loss of power.
#include <asyncio/os/file.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/testing/disk.hpp>

#include <cerrno>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

namespace asyncio::testing {
namespace {

using os::FileCall;
using Kind = FileCall::Kind;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class DiskTest : public ::testing::Test {
  protected:
    int open(const char* path, int flags, unsigned mode = 0666) {
        return disk.perform({.kind = Kind::open, .flags = flags, .mode = mode, .path = path});
    }
    int write(int fd, std::string_view data, std::int64_t offset = -1) {
        return disk.perform({.kind = Kind::write,
                             .fd = fd,
                             .memory = const_cast<char*>(data.data()),
                             .size = data.size(),
                             .offset = offset});
    }
    int sync(int fd) { return disk.perform({.kind = Kind::sync, .fd = fd}); }
    int close(int fd) { return disk.perform({.kind = Kind::close, .fd = fd}); }
    int truncate(int fd, std::int64_t size) {
        return disk.perform({.kind = Kind::truncate, .fd = fd, .offset = size});
    }
    int rename(const char* from, const char* to) {
        return disk.perform({.kind = Kind::rename, .path = from, .other = to});
    }
    int exchange(const char* a, const char* b) {
        return disk.perform(
            {.kind = Kind::rename, .flags = RENAME_EXCHANGE, .path = a, .other = b});
    }
    int unlink(const char* path, int flags = 0) {
        return disk.perform({.kind = Kind::unlink, .flags = flags, .path = path});
    }
    int mkdir(const char* path) {
        return disk.perform({.kind = Kind::mkdir, .mode = 0777, .path = path});
    }
    int symlink(const char* target, const char* link) {
        return disk.perform({.kind = Kind::symlink, .path = target, .other = link});
    }
    int link(const char* from, const char* to) {
        return disk.perform({.kind = Kind::link, .path = from, .other = to});
    }
    int sync_directory(const char* path) {
        const int fd = open(path, O_RDONLY | O_DIRECTORY);
        const int result = sync(fd);
        close(fd);
        return result;
    }
    void put(const char* path, std::string_view data) {
        const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC);
        ASSERT_GE(fd, 0) << path;
        EXPECT_EQ(write(fd, data), static_cast<int>(data.size()));
        EXPECT_EQ(close(fd), 0);
    }
    void lose_power() {
        disk.lose_power();
        disk.get_power();
    }

    Agenda agenda;
    Disk disk{agenda, Random(1)};
};

TEST_F(DiskTest, files_are_read_and_written) {
    const int fd = open("notes", O_RDWR | O_CREAT);
    EXPECT_EQ(fd, os::kFirstSimulatedFile);
    EXPECT_EQ(write(fd, "hello"), 5);
    EXPECT_EQ(write(fd, "J", 0), 1);
    EXPECT_EQ(write(fd, "!", 7), 1);
    EXPECT_EQ(disk.read("/notes"), std::string("Jello\0\0!", 8));
    char buffer[4] = {};
    FileCall read{.kind = Kind::read, .fd = fd, .memory = buffer, .size = 4, .offset = 1};
    EXPECT_EQ(disk.perform(read), 4);
    EXPECT_EQ(std::string(buffer, 4), "ello");
    read.offset = 8;
    EXPECT_EQ(disk.perform(read), 0);
    EXPECT_EQ(truncate(fd, 2), 0);
    EXPECT_EQ(disk.read("notes"), "Je");
    EXPECT_EQ(disk.seek(fd, 0, SEEK_END), 2);
    EXPECT_EQ(close(fd), 0);
    EXPECT_EQ(close(fd), -EBADF);
}

TEST_F(DiskTest, opening_keeps_its_flags_word) {
    put("there", "text");
    EXPECT_EQ(open("missing", O_RDONLY), -ENOENT);
    EXPECT_EQ(open("there", O_RDWR | O_CREAT | O_EXCL), -EEXIST);
    EXPECT_EQ(open("there/below", O_RDONLY), -ENOTDIR);
    EXPECT_EQ(open("there", O_RDONLY | O_DIRECTORY), -ENOTDIR);
    EXPECT_EQ(open("/", O_WRONLY), -EISDIR);
    const int reader = open("there", O_RDONLY);
    EXPECT_EQ(write(reader, "x"), -EBADF);
    const int appender = open("there", O_WRONLY | O_APPEND);
    EXPECT_EQ(write(appender, "+", 0), 1);
    EXPECT_EQ(disk.read("there"), "text+");
    EXPECT_EQ(disk.open_files().size(), 2u);
    const int nameless = open("/tmp", O_RDWR | O_TMPFILE);
    EXPECT_EQ(write(nameless, "abc"), 3);
    EXPECT_THAT(disk.list("/tmp"), ElementsAre());
}

TEST_F(DiskTest, names_follow_posix) {
    put("a", "1");
    EXPECT_EQ(mkdir("d"), 0);
    EXPECT_EQ(mkdir("d"), -EEXIST);
    EXPECT_EQ(mkdir("x/y"), -ENOENT);
    EXPECT_EQ(rename("a", "d/b"), 0);
    EXPECT_EQ(rename("d", "d/e"), -EINVAL);
    EXPECT_EQ(rename("a", "b"), -ENOENT);
    EXPECT_EQ(rename("d/b", "d"), -ENOTEMPTY);
    EXPECT_EQ(exchange("d/b", "d"), -EINVAL) << "it would be in itself";
    EXPECT_EQ(exchange("d", "d/b"), -EINVAL);
    EXPECT_EQ(link("d", "tmp"), -EEXIST);
    EXPECT_EQ(link("d", "e"), -EPERM);
    EXPECT_EQ(link("d/b", "c"), 0);
    EXPECT_EQ(unlink("d"), -EISDIR);
    EXPECT_EQ(unlink("d", AT_REMOVEDIR), -ENOTEMPTY);
    EXPECT_EQ(unlink("d/b"), 0);
    EXPECT_EQ(disk.read("c"), "1");
    EXPECT_EQ(unlink("d", AT_REMOVEDIR), 0);
    put("target", "old");
    EXPECT_EQ(rename("c", "target"), 0);
    EXPECT_THAT(disk.list("/"), UnorderedElementsAre("target", "tmp"));
    EXPECT_EQ(disk.read("target"), "1");
    EXPECT_EQ(unlink(std::string(300, 'x').c_str()), -ENAMETOOLONG);
}

TEST_F(DiskTest, symbolic_links_are_followed) {
    EXPECT_EQ(mkdir("d"), 0);
    EXPECT_EQ(symlink("d/file", "link"), 0);
    EXPECT_EQ(open("link", O_RDONLY), -ENOENT);
    put("link", "through");
    EXPECT_EQ(disk.read("d/file"), "through");
    EXPECT_EQ(open("link", O_RDONLY | O_NOFOLLOW), -ELOOP);
    EXPECT_EQ(symlink("loop", "loop"), 0);
    EXPECT_EQ(open("loop", O_RDONLY), -ELOOP);
    std::string found;
    EXPECT_EQ(disk.read_link("link", found), 0);
    EXPECT_EQ(found, "d/file");
    EXPECT_EQ(disk.real_path("./d/../link", found), 0);
    EXPECT_EQ(found, "/d/file");
}

TEST_F(DiskTest, what_is_open_outlives_its_name) {
    put("gone", "still here");
    const int fd = open("gone", O_RDONLY);
    EXPECT_EQ(unlink("gone"), 0);
    for (int i = 0; i < 300; ++i) {  // makes the disk look for what nobody can reach
        put("other", "x");
        EXPECT_EQ(unlink("other"), 0);
    }
    char buffer[16] = {};
    EXPECT_EQ(disk.perform({.kind = Kind::read, .fd = fd, .memory = buffer, .size = 16}), 10);
}

TEST_F(DiskTest, a_file_that_was_saved_with_its_name_survives) {
    for (int i = 0; i < 100; ++i) {
        const int fd = open("log", O_WRONLY | O_CREAT | O_APPEND);
        write(fd, std::to_string(i) + "\n");
        ASSERT_EQ(sync(fd), 0);
        ASSERT_EQ(sync_directory("/"), 0);
        const auto saved = disk.read("log");
        EXPECT_EQ(disk.read_saved("log"), saved);
        lose_power();
        EXPECT_EQ(disk.read("log"), saved);
        EXPECT_EQ(write(fd, "x"), -EBADF) << "nothing is open any more";
    }
}

TEST_F(DiskTest, what_was_not_saved_is_lost_kept_or_torn) {
    std::set<std::string> seen;
    for (int i = 0; i < 400; ++i) {
        disk.write("file", "....");
        const int fd = open("file", O_WRONLY);
        write(fd, "ab", 0);
        write(fd, "cdef", 2);
        lose_power();
        seen.insert(*disk.read("file"));
        ASSERT_GE(disk.read("file")->size(), 4u);
    }
    EXPECT_TRUE(seen.contains("...."));
    EXPECT_TRUE(seen.contains("ab.."));
    EXPECT_TRUE(seen.contains("..cdef"));
    EXPECT_TRUE(seen.contains("abcdef"));
    EXPECT_TRUE(seen.contains("abcd"));
    EXPECT_TRUE(seen.contains(std::string("abc\0\0\0", 6)));
}

TEST_F(DiskTest, a_name_that_was_not_saved_may_go_although_the_file_was) {
    int gone = 0;
    for (int i = 0; i < 100; ++i) {
        const int fd = open("new", O_WRONLY | O_CREAT);
        write(fd, "saved");
        sync(fd);
        lose_power();
        const auto left = disk.read("new");
        if (left) {
            EXPECT_EQ(left, "saved");
        }
        gone += left ? 0 : 1;
        unlink("new");
        sync_directory("/");
    }
    EXPECT_GT(gone, 10);
    EXPECT_LT(gone, 90);
}

TEST_F(DiskTest, a_rename_is_one_change) {
    std::set<std::string> seen;
    for (int i = 0; i < 200; ++i) {
        disk.write("a/old", "A");
        disk.write("b/old", "B");
        EXPECT_EQ(rename("a/old", "b/old"), 0);
        lose_power();
        const auto first = disk.read("a/old");
        const auto second = disk.read("b/old");
        ASSERT_TRUE(second);
        if (first)
            EXPECT_EQ(*first + *second, "AB") << "not yet";
        else
            EXPECT_EQ(*second, "A") << "done";
        seen.insert(*second);
    }
    EXPECT_EQ(seen.size(), 2u);
}

TEST_F(DiskTest, saving_one_directory_leaves_the_other_open) {
    bool lost = false;
    for (int i = 0; i < 50; ++i) {
        disk.write("a/x", "");
        disk.write("b/x", "");
        put("a/new", "1");
        put("b/new", "2");
        EXPECT_EQ(sync_directory("a"), 0);
        lose_power();
        EXPECT_TRUE(disk.read("a/new"));
        lost = lost || !disk.read("b/new");
        unlink("a/new");
        unlink("b/new");
        sync_directory("a");
        sync_directory("b");
    }
    EXPECT_TRUE(lost);
}

TEST_F(DiskTest, after_a_failed_sync_the_next_one_saves_less) {
    bool lost = false;
    for (int i = 0; i < 50; ++i) {
        disk.write("file", "old");
        const int fd = open("file", O_WRONLY);
        write(fd, "new", 0);
        disk.faults.sync_error = 1;
        EXPECT_EQ(sync(fd), -EIO);
        disk.faults.sync_error = 0;
        EXPECT_EQ(sync(fd), 0);
        EXPECT_EQ(disk.read("file"), "new") << "programs see it all the same";
        lose_power();
        lost = lost || disk.read("file") == "old";
    }
    EXPECT_TRUE(lost);
}

TEST_F(DiskTest, a_disk_can_be_full) {
    disk.faults.capacity = 10;
    const int fd = open("file", O_WRONLY | O_CREAT);
    EXPECT_EQ(write(fd, "12345678"), 8);
    EXPECT_EQ(write(fd, "abcd"), 2) << "what there is room for";
    EXPECT_EQ(write(fd, "cd"), -ENOSPC);
    EXPECT_EQ(write(fd, "A", 0), 1) << "over what is there";
    EXPECT_EQ(open("other", O_WRONLY | O_CREAT), -ENOSPC);
    EXPECT_EQ(truncate(fd, 1), 0);
    EXPECT_EQ(write(fd, "b", 1), 1);
}

TEST_F(DiskTest, faults_come_where_they_are_asked_for) {
    put("file", "text");
    disk.faults.read_only = true;
    EXPECT_EQ(open("file", O_WRONLY), -EROFS);
    EXPECT_EQ(unlink("file"), -EROFS);
    EXPECT_EQ(mkdir("d"), -EROFS);
    const int fd = open("file", O_RDONLY);
    EXPECT_GE(fd, 0);
    disk.faults.read_error = 1;
    char byte = 0;
    EXPECT_EQ(disk.perform({.kind = Kind::read, .fd = fd, .memory = &byte, .size = 1}), -EIO);
    disk.faults = DiskFaults{};
    disk.faults.write_error = 1;
    const int writer = open("file", O_WRONLY);
    EXPECT_EQ(write(writer, "x"), -EIO);
    EXPECT_EQ(disk.read("file"), "text");
    disk.faults.name_error = 1;
    EXPECT_EQ(unlink("file"), -EIO);
    disk.faults = DiskFaults{};
    disk.faults.short_write = 1;
    std::set<int> sizes;
    for (int i = 0; i < 50; ++i) sizes.insert(write(writer, "abc", 0));
    EXPECT_THAT(sizes, ElementsAre(1, 2, 3));
}

TEST_F(DiskTest, without_power_nothing_works) {
    put("file", "text");
    const int fd = open("file", O_RDONLY);
    disk.lose_power();
    EXPECT_EQ(open("file", O_RDONLY), -EIO);
    EXPECT_EQ(close(fd), -EIO);
    EXPECT_EQ(unlink("file"), -EIO);
    disk.get_power();
    EXPECT_EQ(open("missing", O_RDONLY), -ENOENT);
}

TEST_F(DiskTest, what_nobody_saves_is_saved_by_the_system_in_the_end) {
    disk.write("file", "");
    const int fd = open("file", O_WRONLY | O_APPEND);
    for (int i = 0; i < 1500; ++i) write(fd, "x");
    lose_power();
    EXPECT_GE(disk.read("file")->size(), 500u);
}

TEST_F(DiskTest, status_tells_what_there_is) {
    put("file", "12345");
    link("file", "again");
    struct statx found = {};
    EXPECT_EQ(disk.perform({.kind = Kind::stat, .path = "file", .attributes = &found}), 0);
    EXPECT_EQ(found.stx_size, 5u);
    EXPECT_EQ(found.stx_nlink, 2u);
    EXPECT_TRUE(S_ISREG(found.stx_mode));
    EXPECT_EQ(disk.set_mode("file", 0600), 0);
    EXPECT_EQ(disk.perform({.kind = Kind::stat, .path = "again", .attributes = &found}), 0);
    EXPECT_EQ(found.stx_mode & 07777u, 0600u);
}

}  // namespace
}  // namespace asyncio::testing
