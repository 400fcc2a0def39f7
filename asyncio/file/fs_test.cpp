// SPDX-License-Identifier: MIT
#include <asyncio/file/directory.hpp>
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/temporary.hpp>
#include <asyncio/file/whole_file.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/with.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio {
namespace {

namespace stdfs = std::filesystem;

using FsTest = FolderTest;

TEST_F(FsTest, attributes) {
    put("f", "12345");
    asyncio::run([&]() -> Coro<> {
        co_await fs::symlink("f", path("soft"));
        const fs::FileStatus file = co_await fs::stat(path("soft"));
        EXPECT_TRUE(file.is_file());
        EXPECT_EQ(file.size, 5u);
        EXPECT_GT(file.modified, fs::SystemTime(std::chrono::seconds(1'000'000'000)));
        const fs::FileStatus link = co_await fs::lstat(path("soft"));
        EXPECT_TRUE(link.is_symlink());
        const bool there = co_await fs::exists(path("f"));
        const bool not_there = co_await fs::exists(path("none/at/all"));
        const bool is_file = co_await fs::is_file(path("f"));
        const bool is_dir = co_await fs::is_dir(folder);
        const bool is_link = co_await fs::is_symlink(path("soft"));
        const std::uint64_t size = co_await fs::getsize(path("f"));
        EXPECT_TRUE(there && !not_there && is_file && is_dir && is_link);
        EXPECT_EQ(size, 5u);
        const auto missing = co_await as_outcome(fs::stat(path("none")));
        EXPECT_EQ(error_of(missing), "stat " + path("none") + ": No such file or directory");
        co_await fs::chmod(path("f"), 0640);
        const fs::FileStatus changed = co_await fs::stat(path("f"));
        EXPECT_EQ(changed.permissions(), 0640u);
    });
}

TEST_F(FsTest, names) {
    put("a", "a");
    asyncio::run([&]() -> Coro<> {
        co_await fs::rename(path("a"), path("b"));
        co_await fs::link(path("b"), path("c"));
        const auto none = co_await as_outcome(fs::rename(path("a"), path("z")));
        EXPECT_EQ(error_of(none),
                  "rename " + path("a") + " -> " + path("z") + ": No such file or directory");
        co_await fs::remove(path("b"));
        co_await fs::makedirs(path("x/y/z/"));
        const auto again = co_await as_outcome(fs::makedirs(path("x/y/z")));
        EXPECT_EQ(error_of(again), "mkdir " + path("x/y/z") + ": File exists");
        co_await fs::makedirs(path("x/y/z"), {.exist_ok = true});
        const auto over = co_await as_outcome(fs::makedirs(path("c/d"), {.exist_ok = true}));
        EXPECT_FALSE(over);
        const auto full = co_await as_outcome(fs::rmdir(path("x")));
        EXPECT_EQ(error_of(full), "rmdir " + path("x") + ": Directory not empty");
        co_await fs::symlink("../c", path("x/up"));
        const std::string says = co_await fs::readlink(path("x/up"));
        EXPECT_EQ(says, "../c");
        const std::string real = co_await fs::realpath(path("x/./y/../up"));
        EXPECT_EQ(real, stdfs::canonical(path("c")).string());
        co_await fs::rmtree(path("x"));
        EXPECT_FALSE(stdfs::exists(path("x")));
        EXPECT_TRUE(stdfs::exists(path("c")));
    });
}

TEST_F(FsTest, directories) {
    std::set<std::string> expected;
    for (int i = 0; i < 1500; ++i) {
        const std::string name = "file" + std::to_string(i);
        put(name, "");
        expected.insert(name);
    }
    stdfs::create_directory(path("sub"));
    expected.insert("sub");
    asyncio::run([&]() -> Coro<> {
        std::set<std::string> seen;
        fs::Directory entries = co_await fs::scandir(folder);
        int cancelled = 0;
        for (;;) {
            Task<std::optional<fs::DirEntry>> next = create_task(entries.next());
            co_await sleep(Duration::zero());
            if (seen.size() % 3 == 0) next.cancel();
            auto entry = co_await as_outcome(next);
            if (!entry && ++cancelled < 5000) {
                const auto retried = co_await entries.next();
                if (!retried) break;
                seen.insert(retried->name);
                continue;
            }
            if (!*entry) break;
            seen.insert((**entry).name);
            EXPECT_EQ((**entry).is_dir(), (**entry).name == "sub");
        }
        EXPECT_EQ(seen, expected);
        const std::vector<std::string> names = co_await fs::listdir(folder);
        EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected);
        const auto none = co_await as_outcome(fs::scandir(path("none")));
        EXPECT_EQ(error_of(none), "scandir " + path("none") + ": No such file or directory");
    });
}

TEST_F(FsTest, walks_a_tree_and_may_be_told_where_not_to_go) {
    stdfs::create_directories(path("a/b/c"));
    stdfs::create_directories(path("skip/this"));
    put("a/b/file", "");
    stdfs::create_directory_symlink(folder, path("a/loop"));
    asyncio::run([&]() -> Coro<> {
        std::vector<std::string> seen;
        std::vector<std::string> files;
        fs::Walk walk = fs::walk(folder);
        while (fs::WalkStep* step = co_await walk.next()) {
            seen.push_back(step->path.substr(folder.size()));
            for (const std::string& name : step->files) files.push_back(name);
            std::erase(step->directories, "skip");
        }
        EXPECT_EQ(seen, (std::vector<std::string>{"", "/a", "/a/b", "/a/b/c"}));
        std::ranges::sort(files);
        EXPECT_EQ(files, (std::vector<std::string>{"file", "loop"}));
    });
}

TEST_F(FsTest, write_atomic_leaves_the_old_file_or_the_new_one) {
    put("conf", "old");
    ::chmod(path("conf").c_str(), 0604);
    asyncio::run([&]() -> Coro<> {
        co_await fs::write_atomic(path("conf"), "new");
        const std::string text = co_await fs::read_file(path("conf"));
        EXPECT_EQ(text, "new");
        const fs::FileStatus status = co_await fs::stat(path("conf"));
        EXPECT_EQ(status.permissions(), 0604u);
        const std::string large(200000, 'L');
        for (int i = 0; i < 200; ++i) {
            Task<> write =
                create_task(fs::write_atomic(path("conf"), large, {.sync = i % 10 == 0}));
            for (int steps = 0; steps < i % 8; ++steps) co_await sleep(Duration::zero());
            write.cancel();
            (void)co_await as_outcome(write);
            const std::string now = co_await fs::read_file(path("conf"));
            EXPECT_TRUE(now == "new" || now == large);
        }
        const std::vector<std::string> left = co_await fs::listdir(folder);
        EXPECT_EQ(left, std::vector<std::string>{"conf"});
        const auto nowhere = co_await as_outcome(fs::write_atomic(path("no/such/dir"), "x"));
        EXPECT_FALSE(nowhere);
    });
}

TEST_F(FsTest, temporary_files_and_directories) {
    asyncio::run([&]() -> Coro<> {
        const fs::TemporaryOptions here{.prefix = "p-", .suffix = ".txt", .directory = folder};
        File unnamed = co_await fs::temporary_file(here);
        co_await unnamed.write("x");
        co_await unnamed.seek(0);
        const std::string back = co_await unnamed.read();
        EXPECT_EQ(back, "x");
        EXPECT_TRUE(stdfs::is_empty(folder));
        std::string name;
        {
            fs::NamedFile named = co_await fs::named_temporary_file(here);
            name = named.name();
            EXPECT_TRUE(stdfs::exists(name));
            EXPECT_TRUE(name.ends_with(".txt"));
            co_await named.close();
        }
        EXPECT_FALSE(stdfs::exists(name));
        auto body = [&](const std::string& directory) -> Coro<> {
            name = directory;
            co_await fs::makedirs(directory + "/deep/er");
            co_await fs::write_file(directory + "/deep/file", "x");
        };
        co_await with(fs::TemporaryDirectory(here), body);
        EXPECT_FALSE(name.empty());
        EXPECT_TRUE(stdfs::is_empty(folder));
    });
}

TEST_F(FsTest, rmtree_needs_two_descriptors_however_deep_the_tree) {
    constexpr int kDepth = 700;  // its path is longer than PATH_MAX
    int here = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < kDepth; ++i) {
        const char* name = i == 0 ? "tree" : "deeper";
        ASSERT_EQ(::mkdirat(here, name, 0700), 0);
        const int next = ::openat(here, name, O_RDONLY | O_DIRECTORY);
        ::close(::openat(next, "zfile", O_CREAT | O_WRONLY, 0600));
        ::close(::openat(next, "afile", O_CREAT | O_WRONLY, 0600));
        ::close(here);
        here = next;
    }
    ::close(here);
    asyncio::run([&]() -> Coro<> {
        co_await fs::mkdir(path("warm"));  // the threads are there
        co_await fs::rmtree(path("warm"));
        const int lowest_free = ::dup(0);
        ::close(lowest_free);
        rlimit before = {};
        ::getrlimit(RLIMIT_NOFILE, &before);
        rlimit few = before;
        few.rlim_cur = static_cast<rlim_t>(lowest_free) + 3;
        ::setrlimit(RLIMIT_NOFILE, &few);
        const auto removed = co_await as_outcome(fs::rmtree(path("tree")));
        ::setrlimit(RLIMIT_NOFILE, &before);
        EXPECT_EQ(errno_of(removed), 0);
        const bool there = co_await fs::exists(path("tree"));
        EXPECT_FALSE(there);
    });
}

TEST_F(FsTest, rmtree_stops_at_links_and_says_where_it_failed) {
    asyncio::run([&]() -> Coro<> {
        co_await fs::makedirs(path("tree/in/side"));
        co_await fs::mkdir(path("other"));
        put("other/kept", "x");
        co_await fs::symlink(path("other"), path("tree/in/link"));
        co_await fs::rmtree(path("tree"));
        const bool kept = co_await fs::exists(path("other/kept"));
        EXPECT_TRUE(kept);
        const auto missing = co_await as_outcome(fs::rmtree(path("tree")));
        EXPECT_EQ(error_of(missing), "rmtree " + path("tree") + ": No such file or directory");
        const auto file = co_await as_outcome(fs::rmtree(path("other/kept")));
        EXPECT_EQ(errno_of(file), ENOTDIR);
    });
}

TEST_F(FsTest, A18_a_temporary_directory_is_gone_when_a_cancelled_task_goes_on) {
    for (int turns = 0; turns < 30; ++turns) {
        run([&]() -> Coro<> {
            const auto work = [this]() -> Coro<> {
                fs::TemporaryDirectory directory({.directory = folder});
                const auto body = [](std::string& made) -> Coro<> {
                    co_await fs::write_file(made + "/file", "x");
                };
                co_await with(std::move(directory), body);
            };
            const Task<> task = create_task(work);
            for (int i = 0; i < turns; ++i) co_await sleep(std::chrono::milliseconds(0));
            task.cancel();
            (void)co_await as_outcome(task);
            const std::vector<std::string> left = co_await fs::listdir(folder);
            EXPECT_EQ(left, std::vector<std::string>{}) << turns;
        });
    }
}

/// The one task beside the current one and `known`; none: null.
std::optional<AnyTask> third_task(const AnyTask& known) {
    for (const AnyTask& task : all_tasks())
        if (task != known && task != current_task()) return task;
    return std::nullopt;
}

TEST_F(FsTest, A18_a_cancellation_while_a_temporary_directory_goes_is_not_lost) {
    for (int turns = 0; turns < 4; ++turns) {
        run([&]() -> Coro<> {
            const auto work = [this]() -> Coro<> {
                const auto body = [](std::string&) -> Coro<> { co_return; };
                co_await with(fs::TemporaryDirectory({.directory = folder}), body);
            };
            const Task<> task = create_task(work);
            std::optional<AnyTask> removing;
            while (!removing && !task.done()) {
                co_await sleep(Duration::zero());
                removing = third_task(task);
            }
            while (removing && !removing->done()) co_await sleep(Duration::zero());
            for (int i = 0; i < turns; ++i) co_await sleep(Duration::zero());
            const bool asked = task.cancel();
            (void)co_await as_outcome(task);
            EXPECT_TRUE(removing.has_value());
            EXPECT_EQ(task.cancelled(), asked) << turns;
            EXPECT_TRUE(asked || turns > 0);
            EXPECT_TRUE(stdfs::is_empty(folder));
        });
    }
}

}  // namespace
}  // namespace asyncio
