// SPDX-License-Identifier: MIT
//
// Inotify by the calls of os/, on the real system and on the disk of a simulated host: the same
// calls have the same records. What is written out here are Linux's rules; what nobody thought of
// is left to chance (the last test), which compares the two.
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/inotify.hpp>
#include <asyncio/testing/network.hpp>
#include <asyncio/testing/simulated_inotify.hpp>
#include <asyncio/testing/simulation.hpp>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/socket.h>

namespace asyncio::testing {
namespace {

using os::FileCall;
using Kind = FileCall::Kind;
using Records = std::vector<std::string>;

constexpr std::uint32_t kAll = IN_ALL_EVENTS;
constexpr std::uint32_t kChanges = IN_ALL_EVENTS & ~(IN_OPEN | IN_ACCESS | IN_CLOSE_NOWRITE);

/// "moved_to/ name": a slash for directories.
std::string text_of(const inotify_event& event, const char* name) {
    static constexpr std::pair<std::uint32_t, const char*> kNames[] = {
        {IN_ACCESS, "access"},
        {IN_MODIFY, "modify"},
        {IN_ATTRIB, "attrib"},
        {IN_CLOSE_WRITE, "close_write"},
        {IN_CLOSE_NOWRITE, "close"},
        {IN_OPEN, "open"},
        {IN_MOVED_FROM, "moved_from"},
        {IN_MOVED_TO, "moved_to"},
        {IN_CREATE, "create"},
        {IN_DELETE, "delete"},
        {IN_DELETE_SELF, "delete_self"},
        {IN_MOVE_SELF, "move_self"},
        {IN_Q_OVERFLOW, "overflow"},
        {IN_IGNORED, "ignored"},
        {IN_ISDIR, "/"},
    };
    std::string text;
    for (const auto& [bit, word] : kNames)
        if ((event.mask & bit) != 0) text += word;
    return text + (event.len == 0 ? "" : " ") + (event.len == 0 ? "" : name);
}

/// A folder, on the disk of a simulated host or on the real one, and an instance.
class Files {
  public:
    explicit Files(bool simulated) : simulated_(simulated) {
        enter();
        char name[] = "/tmp/asyncio-inotify-XXXXXX";
        if (simulated) {
            os::perform({.kind = Kind::mkdir, .mode = 0777, .path = name});
        } else {
            EXPECT_NE(::mkdtemp(name), nullptr);
        }
        folder_ = name;
        inotify_.reset(os::open_inotify());
    }
    ~Files() {
        enter();
        inotify_.reset();
        for (const int fd : open_) os::Fd(fd).reset();
        if (!simulated_) std::filesystem::remove_all(folder_);
        os::simulated_system = nullptr;
    }
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    /// The calls of os/ are its, from now on.
    void enter() noexcept { os::simulated_system = simulated_ ? &host() : nullptr; }

    std::string path(const std::string& name) const { return folder_ + "/" + name; }
    int open(const std::string& name, int flags) {
        const int fd = os::perform(
            {.kind = Kind::open, .flags = flags, .mode = 0666, .path = path(name).c_str()});
        if (fd < 0) return fd;
        open_.push_back(fd);
        return static_cast<int>(open_.size()) - 1;
    }
    int close(int number) {
        return os::perform({.kind = Kind::close, .fd = std::exchange(open_.at(number), -1)});
    }
    int write(int number, std::string text) {
        return os::perform({.kind = Kind::write,
                            .fd = open_.at(number),
                            .memory = text.data(),
                            .size = text.size()});
    }
    int read(int number) {
        char byte = 0;
        return os::perform(
            {.kind = Kind::read, .fd = open_.at(number), .memory = &byte, .size = 1, .offset = 0});
    }
    int truncate(int number) { return os::set_size(open_.at(number), 1); }
    int set_mode(int number, unsigned mode) { return os::set_mode(open_.at(number), mode); }
    int set_mode(const std::string& name, unsigned mode) {
        return os::set_mode(path(name).c_str(), mode);
    }
    int put(const std::string& name) {
        const int file = open(name, O_WRONLY | O_CREAT);
        return file < 0 ? file : write(file, "x") + close(file);
    }
    int mkdir(const std::string& name) {
        return os::perform({.kind = Kind::mkdir, .mode = 0777, .path = path(name).c_str()});
    }
    int unlink(const std::string& name) { return os::remove_file(path(name).c_str()); }
    int rmdir(const std::string& name) {
        return os::perform(
            {.kind = Kind::unlink, .flags = AT_REMOVEDIR, .path = path(name).c_str()});
    }
    int rename(const std::string& from, const std::string& to, int flags = 0) {
        return two_names(Kind::rename, from, to, flags);
    }
    int link(const std::string& from, const std::string& to) {
        return two_names(Kind::link, from, to, 0);
    }
    int symlink(const std::string& target, const std::string& name) {
        return os::perform(
            {.kind = Kind::symlink, .path = target.c_str(), .other = path(name).c_str()});
    }

    int inotify() const { return inotify_.get(); }
    int watch(const std::string& name, std::uint32_t what = kChanges) {
        const int number = os::add_watch(inotify(), path(name).c_str(), what);
        if (number > 0) watched_[number] = name;
        return number;
    }
    /// What has happened since, as "watched: record".
    Records records() {
        Records seen;
        for (;;) {
            alignas(inotify_event) std::byte buffer[4096];
            const std::ptrdiff_t size = os::read_records(inotify(), buffer);
            if (size <= 0) {
                EXPECT_EQ(size, -EAGAIN);
                return seen;
            }
            for (std::ptrdiff_t at = 0; at < size;) {
                inotify_event event;
                std::memcpy(&event, buffer + at, sizeof event);
                at += static_cast<std::ptrdiff_t>(sizeof event + event.len);
                const char* const end = reinterpret_cast<const char*>(buffer + at);
                const auto watched = watched_.find(event.wd);
                seen.push_back((watched == watched_.end() ? "" : watched->second + ": ") +
                               text_of(event, end - event.len));
                note_pair(event, seen.back());
            }
        }
    }
    bool readable() {
        if (simulated_) return (host().readiness(inotify()) & POLLIN) != 0;
        pollfd look = {inotify(), POLLIN, 0};
        return ::poll(&look, 1, 0) == 1;
    }
    NetworkHost& host() {
        static int hosts = 0;
        if (host_ == nullptr) host_ = &network_.add_host("host" + std::to_string(++hosts));
        return *host_;
    }
    Trace trace;

  private:
    int two_names(Kind kind, const std::string& from, const std::string& to, int flags) {
        return os::perform(
            {.kind = kind, .flags = flags, .path = path(from).c_str(), .other = path(to).c_str()});
    }
    /// The halves of a move belong together, and to no other.
    void note_pair(const inotify_event& event, const std::string& text) {
        EXPECT_EQ(event.cookie != 0, (event.mask & IN_MOVE) != 0) << text;
        if ((event.mask & IN_MOVED_FROM) != 0) {
            EXPECT_GT(event.cookie, last_pair_);
        }
        if (event.cookie != 0) last_pair_ = event.cookie;
    }

    Agenda agenda_;
    Network network_{agenda_, Random(1), trace};
    NetworkHost* host_ = nullptr;
    const bool simulated_;
    std::string folder_;
    os::Fd inotify_;
    std::vector<int> open_;
    std::map<int, std::string> watched_;
    std::uint32_t last_pair_ = 0;
};

class InotifyTest : public ::testing::TestWithParam<bool> {
  protected:
    Files files{GetParam()};
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

// --- chance --------------------------------------------------------------------------------------

/// Things to do with a few names in two directories, and with what is open.
struct Play {
    Files& files;
    Random random;
    std::vector<int> open = {};

    std::string name() {
        static constexpr const char* kNames[] = {"d/a", "d/b", "d/c", "e/a",
                                                 "e/b", "d",   "e",   "d/k"};
        return kNames[random.index(std::size(kNames))];
    }
    int with_open(int (*use)(Files&, int)) {
        if (open.empty()) return 0;
        return use(files, open[random.index(open.size())]);
    }
    int open_one() {
        static constexpr int kFlags[] = {O_RDONLY,
                                         O_WRONLY,
                                         O_RDWR,
                                         O_WRONLY | O_CREAT,
                                         O_RDWR | O_CREAT | O_TRUNC,
                                         O_RDWR | O_CREAT | O_EXCL};
        const std::string what = name();
        const int file = files.open(what, kFlags[random.index(std::size(kFlags))]);
        if (file >= 0) open.push_back(file);
        return std::min(file, 0);
    }
    int close_one() {
        if (open.empty()) return 0;
        const std::size_t which = random.index(open.size());
        const int file = std::exchange(open[which], open.back());
        open.pop_back();
        return files.close(file);
    }
    int move() {
        static constexpr int kFlags[] = {0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
        const std::string from = name();
        const std::string to = name();
        return files.rename(from, to, kFlags[random.index(std::size(kFlags))]);
    }
    int link() {
        const std::string from = name();
        return files.link(from, name());
    }
    int watch() {
        static constexpr std::uint32_t kFlags[] = {0, 0, IN_EXCL_UNLINK, IN_ONESHOT, IN_MASK_ADD};
        const std::string what = name();
        return std::min(files.watch(what, kChanges | kFlags[random.index(std::size(kFlags))]), 0);
    }
    int step() {
        switch (random.below(14)) {
            case 0:
                return files.put(name());
            case 1:
                return files.mkdir(name());
            case 2:
                return files.unlink(name());
            case 3:
                return files.rmdir(name());
            case 4:
            case 5:
                return move();
            case 6:
                return link();
            case 7:
                return files.symlink("d/a", name());
            case 8:
                return files.set_mode(name(), 0755);
            case 9:
            case 10:
                return open_one();
            case 11:
                return close_one();
            case 12:
                return with_open([](Files& f, int n) { return f.write(n, "xy"); });
            default:
                return watch();
        }
    }
};

TEST(InotifyByChance, a_simulated_disk_tells_what_the_real_one_tells) {
    for (const std::uint64_t seed : seeds_to_try(60)) {
        Files real(false);
        Files simulated(true);
        Play plays[] = {{real, Random(seed)}, {simulated, Random(seed)}};
        for (int i = 0; i < 200; ++i) {
            int results[2];
            Records records[2];
            for (int side = 0; side < 2; ++side) {
                plays[side].files.enter();
                results[side] = plays[side].step();
                records[side] = plays[side].files.records();
            }
            ASSERT_EQ(results[0], results[1]) << "seed " << seed << ", step " << i;
            ASSERT_EQ(records[0], records[1]) << "seed " << seed << ", step " << i;
        }
    }
}

// --- of simulations only -------------------------------------------------------------------------

class SimulatedInotifyTest : public ::testing::Test {
  protected:
    Files files{true};
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
