// SPDX-License-Identifier: MIT
//
// Inotify by the calls of os/, on the real system and on the disk of a simulated host: the same
// calls have the same records. What is written out here are Linux's rules; what nobody thought of
// is left to chance (inotify_by_chance_test.cpp).
#include <asyncio/testing/inotify_fixture_test.hpp>

#include <cerrno>
#include <fstream>
#include <string>

#include <linux/fs.h>
#include <sys/socket.h>

namespace asyncio::testing {
namespace {

class InotifyTest : public ::testing::TestWithParam<bool> {
  protected:
    WatchedFiles files{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(, InotifyTest, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "simulated" : "real"; });

TEST_P(InotifyTest, names_that_come_and_go) {
    files.mkdir("d");
    files.put("d/before");
    files.watch("d", kAll);
    EXPECT_FALSE(files.readable());
    files.put("d/a");
    EXPECT_TRUE(files.readable());
    EXPECT_EQ(files.records(),
              (Records{"d: create a", "d: open a", "d: modify a", "d: close_write a"}));
    EXPECT_FALSE(files.readable());
    files.mkdir("d/sub");
    files.symlink("a", "d/link");
    files.unlink("d/link");
    files.unlink("d/a");
    files.rmdir("d/sub");
    files.put("d/sub/none");
    files.unlink("d/none");
    EXPECT_EQ(files.records(), (Records{"d: create/ sub", "d: create link", "d: delete link",
                                        "d: delete a", "d: delete/ sub"}));
}

TEST_P(InotifyTest, what_happens_to_a_file_is_told_of_its_directory_and_of_itself) {
    files.mkdir("d");
    files.put("d/f");
    files.watch("d", kAll);
    files.watch("d/f", kAll);
    const int file = files.open("d/f", O_RDWR);
    files.write(file, "text");
    files.read(file);
    files.truncate(file);
    files.set_mode(file, 0600);
    files.set_mode("d/f", 0644);
    files.close(file);
    EXPECT_EQ(files.records(),
              (Records{"d: open f", "d/f: open", "d: modify f", "d/f: modify", "d: access f",
                       "d/f: access", "d: modify f", "d/f: modify", "d: attrib f", "d/f: attrib",
                       "d: attrib f", "d/f: attrib", "d: close_write f", "d/f: close_write"}));
    files.set_mode("d", 0700);
    files.symlink("d/f", "link");
    files.set_mode("link", 0600);
    files.close(files.open("link", O_RDONLY));
    EXPECT_EQ(files.records(), (Records{"d: attrib/", "d: attrib f", "d/f: attrib", "d: open f",
                                        "d/f: open", "d: close f", "d/f: close"}));
}

TEST_P(InotifyTest, truncating_is_a_change_also_of_what_is_empty) {
    files.watch(".");
    files.close(files.open("f", O_WRONLY | O_CREAT | O_TRUNC));
    EXPECT_EQ(files.records(), (Records{".: create f", ".: close_write f"}));
    files.close(files.open("f", O_WRONLY | O_CREAT | O_TRUNC));
    EXPECT_EQ(files.records(), (Records{".: modify f", ".: close_write f"}));
}

TEST_P(InotifyTest, what_is_like_the_last_record_is_no_new_one) {
    files.put("a");
    files.put("b");
    files.watch(".");
    const int a = files.open("a", O_WRONLY);
    const int b = files.open("b", O_WRONLY);
    for (int i = 0; i < 3; ++i) files.write(a, "x");
    files.write(b, "x");
    files.write(a, "x");
    EXPECT_EQ(files.records(), (Records{".: modify a", ".: modify b", ".: modify a"}));
    files.write(a, "x");
    EXPECT_EQ(files.records(), Records{".: modify a"}) << "the last one has been read";
}

TEST_P(InotifyTest, links_are_names) {
    files.mkdir("d");
    files.mkdir("e");
    files.put("d/f");
    for (const char* name : {"d", "e", "d/f"}) files.watch(name);
    files.link("d/f", "e/g");
    files.put("e/g");
    files.unlink("d/f");
    EXPECT_EQ(files.records(),
              (Records{"d/f: attrib", "e: create g", "e: modify g", "d/f: modify",
                       "e: close_write g", "d/f: close_write", "d/f: attrib", "d: delete f"}));
    files.unlink("e/g");
    EXPECT_EQ(files.records(),
              (Records{"d/f: attrib", "d/f: delete_self", "d/f: ignored", "e: delete g"}));
}

TEST_P(InotifyTest, moves_have_two_halves) {
    files.mkdir("d");
    files.mkdir("e");
    for (const char* name : {"d/a", "d/b"}) files.put(name);
    for (const char* name : {"d", "e", "d/a", "d/b"}) files.watch(name);
    files.rename("d/a", "d/a");
    files.rename("d/a", "e/c");
    files.put("e/c");
    EXPECT_EQ(files.records(),
              (Records{"d: moved_from a", "e: moved_to c", "d/a: move_self", "e: modify c",
                       "d/a: modify", "e: close_write c", "d/a: close_write"}));
    files.rename("e/c", "d/b");
    EXPECT_EQ(files.records(), (Records{"e: moved_from c", "d: moved_to b", "d/b: attrib",
                                        "d/a: move_self", "d/b: delete_self", "d/b: ignored"}));
    files.mkdir("e/sub");
    EXPECT_EQ(files.rename("d/b", "e/sub", RENAME_EXCHANGE), 0);
    EXPECT_EQ(files.records(), (Records{"e: create/ sub", "d: moved_from b", "e: moved_to sub",
                                        "d/a: move_self", "e: moved_from/ sub", "d: moved_to/ b"}));
    files.mkdir("d/other");
    files.watch("d/other");
    files.rename("d/b", "d/other");
    files.rename("d", "f");
    files.put("f/more");
    EXPECT_EQ(files.records(),
              (Records{"d: create/ other", "d: moved_from/ b", "d: moved_to/ other",
                       "d/other: attrib/", "d/other: delete_self", "d/other: ignored",
                       "d: move_self", "d: create more", "d: modify more", "d: close_write more"}));
}

TEST_P(InotifyTest, what_is_open_is_not_gone_yet) {
    files.put("f");
    files.watch(".");
    files.watch("f");
    const int file = files.open("f", O_WRONLY);
    files.unlink("f");
    files.put("f");
    files.records();
    files.write(file, "x");
    EXPECT_EQ(files.records(), (Records{".: modify f", "f: modify"}));
    files.close(file);
    EXPECT_EQ(files.records(),
              (Records{".: close_write f", "f: close_write", "f: delete_self", "f: ignored"}));
}

TEST_P(InotifyTest, a_directory_is_held_by_what_was_in_it) {
    files.mkdir("d");
    files.mkdir("d/sub");
    files.put("d/sub/f");
    for (const char* name : {"d", "d/sub"}) files.watch(name);
    const int file = files.open("d/sub/f", O_RDONLY);
    files.unlink("d/sub/f");
    files.rmdir("d/sub");
    files.rmdir("d");
    EXPECT_EQ(files.records(), (Records{"d/sub: delete f", "d: delete/ sub"}));
    files.close(file);
    EXPECT_EQ(files.records(),
              (Records{"d/sub: delete_self", "d/sub: ignored", "d: delete_self", "d: ignored"}));
}

TEST_P(InotifyTest, an_open_file_is_told_under_the_name_it_has_now) {
    files.mkdir("d");
    files.put("d/a");
    const int a = files.open("d/a", O_WRONLY);
    files.put("d/b");
    const int b = files.open("d/b", O_WRONLY);
    files.watch("d", kChanges | IN_EXCL_UNLINK);
    files.rename("d/a", "d/b");
    files.write(a, "x");
    files.write(b, "x");  // replaced: hidden
    files.truncate(b);    // not by its descriptor, as Linux sees it
    files.close(b);
    EXPECT_EQ(files.records(), (Records{"d: moved_from a", "d: moved_to b", "d: modify b"}));
    files.put("d/c");
    files.rename("d/b", "d/c", RENAME_EXCHANGE);
    files.records();
    files.write(a, "x");
    EXPECT_EQ(files.records(), Records{"d: modify c"});
}

TEST_P(InotifyTest, hiding_what_has_no_name_hides_it_from_its_own_watch_too) {
    files.put("f");
    files.watch("f", kChanges | IN_EXCL_UNLINK);
    const int file = files.open("f", O_WRONLY);
    files.unlink("f");
    files.write(file, "x");
    files.close(file);
    EXPECT_EQ(files.records(), (Records{"f: attrib", "f: delete_self", "f: ignored"}));
}

TEST_P(InotifyTest, watches_have_numbers_and_flags) {
    files.mkdir("d");
    files.put("f");
    const int d = files.watch("d", IN_CREATE);
    EXPECT_EQ(files.watch("d", IN_DELETE | IN_MASK_CREATE), -EEXIST);
    EXPECT_EQ(files.watch("./d/../d", IN_DELETE | IN_MASK_ADD), d);
    files.put("d/x");
    files.unlink("d/x");
    EXPECT_EQ(files.watch("d", IN_ATTRIB), d);
    files.put("d/x");
    EXPECT_EQ(files.records(), (Records{"d: create x", "d: delete x"}));
    EXPECT_EQ(os::remove_watch(files.inotify(), d), 0);
    EXPECT_EQ(os::remove_watch(files.inotify(), d), -EINVAL);
    EXPECT_EQ(files.records(), Records{"d: ignored"});
    EXPECT_GT(files.watch("d", IN_DELETE | IN_ONESHOT), d);
    files.unlink("d/x");
    files.put("d/x");
    EXPECT_EQ(files.records(), (Records{"d: delete x", "d: ignored"}));
    EXPECT_EQ(files.watch("f", kAll | IN_ONLYDIR), -ENOTDIR);
    EXPECT_EQ(files.watch("none"), -ENOENT);
    EXPECT_EQ(files.watch("f/none"), -ENOTDIR);
    EXPECT_EQ(files.watch("d", 0), -EINVAL);
    EXPECT_EQ(files.watch("d", kAll | IN_MASK_ADD | IN_MASK_CREATE), -EINVAL);
    files.symlink("f", "link");
    const int link = files.watch("link", kAll | IN_DONT_FOLLOW);
    EXPECT_NE(files.watch("f"), link);
}

TEST_P(InotifyTest, only_whole_records_are_read) {
    files.watch(".");
    files.mkdir("short");
    files.mkdir("fifteen_letters");
    files.mkdir("sixteen__letters");
    alignas(inotify_event) std::byte buffer[256];
    const auto read = [&](std::size_t size) {
        return os::read_records(files.inotify(), std::span(buffer).first(size));
    };
    EXPECT_EQ(read(0), -EINVAL);
    EXPECT_EQ(read(31), -EINVAL);
    EXPECT_EQ(read(32 + 31), 32);
    EXPECT_EQ(read(32 + 47), 32);
    EXPECT_EQ(read(32 + 15), -EINVAL);
    EXPECT_EQ(read(256), 48);
    EXPECT_STREQ(reinterpret_cast<const char*>(buffer) + sizeof(inotify_event), "sixteen__letters");
    EXPECT_EQ(read(256), -EAGAIN);
    EXPECT_EQ(read(0), -EAGAIN);
}

TEST_P(InotifyTest, a_full_queue_loses_what_comes_and_says_so_once) {
    std::size_t limit = 0;
    std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
    if (GetParam()) limit = files.host().disk().faults.watch_queue;
    if (limit == 0 || limit > 100'000) GTEST_SKIP() << "max_queued_events is " << limit;
    files.mkdir("d");
    files.put("a");
    files.watch(".");
    files.watch("d");
    for (std::size_t i = 0; i < limit; i += 2) {  // two records each
        files.rename("a", "b");
        files.rename("b", "a");
    }
    files.rename("a", "b");
    files.rmdir("d");
    std::byte half[4096];
    EXPECT_EQ(os::read_records(files.inotify(), half), 4096);
    files.mkdir("e");
    EXPECT_EQ(os::read_records(files.inotify(), half), 4096);
    Records seen = files.records();
    ASSERT_EQ(seen.size(), limit + 2 - 256);
    EXPECT_EQ(seen[limit - 256], "overflow");
    EXPECT_EQ(seen.back(), ".: create/ e");
    files.rename("b", "a");
    EXPECT_EQ(files.records(), (Records{".: moved_from b", ".: moved_to a"}));
}

TEST_P(InotifyTest, descriptors_share_an_instance_which_goes_with_the_last) {
    EXPECT_EQ(os::add_watch(-1, files.path(".").c_str(), kAll), -EBADF);
    const int file = files.open("f", O_WRONLY | O_CREAT);
    {
        const os::Fd copy(os::duplicate(files.inotify()));
        ASSERT_GE(copy.get(), 0);
        EXPECT_EQ(os::add_watch(copy.get(), files.path(".").c_str(), kAll), 1);
        files.write(file, "x");
        EXPECT_TRUE(files.readable());
        std::byte buffer[64];
        EXPECT_EQ(os::read_records(copy.get(), buffer), 32);
        EXPECT_FALSE(files.readable());
    }
    files.write(file, "x");
    EXPECT_EQ(files.records(), Records{"modify f"});
}

// --- of simulations only -------------------------------------------------------------------------

class SimulatedInotifyTest : public ::testing::Test {
  protected:
    WatchedFiles files{true};
};

TEST_F(SimulatedInotifyTest, is_gone_with_the_power) {
    files.watch(".");
    files.put("f");
    const os::Fd fd(files.inotify());
    files.host().lose_power();
    files.host().get_power();
    std::byte buffer[64];
    EXPECT_EQ(os::read_records(fd.get(), buffer), -EBADF);
    EXPECT_EQ(files.host().disk().watchers(), 0u);
}

TEST_F(SimulatedInotifyTest, there_are_only_so_many) {
    std::vector<os::Fd> more;
    for (;;) {
        const int fd = os::open_inotify();
        if (fd < 0) {
            EXPECT_EQ(fd, -EMFILE);
            break;
        }
        more.emplace_back(fd);
    }
    EXPECT_EQ(more.size() + 1, SimulatedInotify::kMostInstances);
    more.clear();
    EXPECT_GE(os::Fd(os::open_inotify()).get(), 0);
    const os::Fd socket(files.host().open_socket(AF_INET, SOCK_STREAM));
    EXPECT_EQ(os::add_watch(socket.get(), "/", kAll), -EINVAL);
}

TEST_F(SimulatedInotifyTest, overflows_when_it_is_asked_to) {
    files.watch(".");
    files.host().disk().faults.watch_overflow = 0.5;
    int overflows = 0;
    int told = 0;
    for (int i = 0; i < 100; ++i) {
        files.mkdir("d" + std::to_string(i));
        const Records seen = files.records();
        ASSERT_EQ(seen.size(), 1u);
        (seen[0] == "overflow" ? overflows : told) += 1;
    }
    EXPECT_GT(overflows, 20);
    EXPECT_GT(told, 20);
    files.host().disk().faults = DiskFaults{.watch_queue = 3};
    for (int i = 0; i < 10; ++i) files.rmdir("d" + std::to_string(i));
    EXPECT_EQ(files.records(),
              (Records{".: delete/ d0", ".: delete/ d1", ".: delete/ d2", "overflow"}));
}

TEST_F(SimulatedInotifyTest, what_it_tells_is_in_the_trace) {
    files.watch(".");
    const std::uint64_t before = files.trace.hash();
    files.put("f");
    EXPECT_NE(files.trace.hash(), before);
}

TEST_F(SimulatedInotifyTest, a_world_that_writes_is_seen) {
    files.watch(".", kAll);
    files.host().disk().write(files.path("new"), "text");
    files.host().disk().write(files.path("new"), "more");
    EXPECT_EQ(files.records(),
              (Records{".: create new", ".: open new", ".: modify new", ".: close_write new",
                       ".: open new", ".: modify new", ".: close_write new"}));
}

}  // namespace
}  // namespace asyncio::testing
