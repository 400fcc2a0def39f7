// SPDX-License-Identifier: MIT
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/watch.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

namespace asyncio {
namespace {

using fs::Change;
using Kind = Change::Kind;
using WatchTest = FolderTest;

/// The changes up to the first of `last`, as "kind name".
Coro<std::vector<std::string>> changes_until(const fs::Watch& watch, Kind last) {
    static constexpr const char* kNames[] = {"created",    "modified", "written",
                                             "attributes", "removed",  "moved_from",
                                             "moved_to",   "overflow", "gone"};
    std::vector<std::string> seen;
    for (bool more = true; more;) {
        const std::optional<Change> change = co_await watch.next();
        if (!change) break;
        seen.push_back(std::string(kNames[static_cast<int>(change->kind)]) +
                       (change->name.empty() ? "" : " " + change->name) +
                       (change->is_dir ? "/" : ""));
        more = change->kind != last;
    }
    co_return seen;
}

TEST_F(WatchTest, tells_what_happens_in_a_directory_in_its_order) {
    asyncio::run([&]() -> Coro<> {
        put("before", "x");
        const fs::Watch watch = co_await fs::watch(folder);
        put("a", "text");
        std::filesystem::rename(path("a"), path("b"));
        std::filesystem::create_directory(path("d"));
        std::filesystem::permissions(path("b"), std::filesystem::perms::owner_read);
        std::filesystem::remove(path("b"));
        const std::vector<std::string> seen = co_await changes_until(watch, Kind::removed);
        EXPECT_EQ(seen, (std::vector<std::string>{"created a", "modified a", "written a",
                                                  "moved_from a", "moved_to b", "created d/",
                                                  "attributes b", "removed b"}));
    });
}

TEST_F(WatchTest, wakes_who_waits_and_tells_paths_and_pairs) {
    asyncio::run([&]() -> Coro<> {
        const fs::Watch watch = co_await fs::watch(folder);
        Task<std::optional<Change>> next = create_task(watch.next());
        co_await sleep(Duration::zero());
        EXPECT_FALSE(next.done());
        put("a", "");
        const std::optional<Change> created = co_await next;
        EXPECT_EQ(created.value().path(), path("a"));
        co_await changes_until(watch, Kind::written);
        std::filesystem::rename(path("a"), path("b"));
        const std::optional<Change> from = co_await watch.next();
        const std::optional<Change> to = co_await watch.next();
        EXPECT_EQ(from.value().kind, Kind::moved_from);
        EXPECT_EQ(to.value().kind, Kind::moved_to);
        EXPECT_NE(from->pair, 0u);
        EXPECT_EQ(from->pair, to->pair);
    });
}

TEST_F(WatchTest, ends_when_what_is_watched_is_gone) {
    asyncio::run([&]() -> Coro<> {
        std::filesystem::create_directory(path("one"));
        std::filesystem::create_directory(path("two"));
        put("file", "x");
        const fs::Watch watch = co_await fs::watch(path("one"));
        co_await watch.add(path("two"));
        co_await watch.add(path("file"));
        std::filesystem::remove(path("one"));
        std::vector<std::string> seen = co_await changes_until(watch, Kind::gone);
        EXPECT_EQ(seen, std::vector<std::string>{"gone"});
        std::filesystem::rename(path("two"), path("three"));
        const std::optional<Change> moved = co_await watch.next();
        EXPECT_EQ(moved.value().kind, Kind::gone);
        EXPECT_EQ(moved->path(), path("two"));
        std::filesystem::remove(path("file"));
        seen = co_await changes_until(watch, Kind::gone);
        EXPECT_EQ(seen, (std::vector<std::string>{"attributes", "gone"}));
        const std::optional<Change> none = co_await watch.next();
        EXPECT_FALSE(none.has_value());
    });
}

/// Fill the queue of the system, beyond its limit.
void overflow(const std::string& one, const std::string& two, std::size_t limit) {
    for (std::size_t i = 0; i < limit; i += 2) {  // two changes each
        ::rename(one.c_str(), two.c_str());
        ::rename(two.c_str(), one.c_str());
    }
}

TEST_F(WatchTest, says_that_changes_were_lost) {
    std::size_t limit = 0;
    std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
    if (limit == 0 || limit > 100000) GTEST_SKIP() << "max_queued_events is " << limit;
    asyncio::run([&]() -> Coro<> {
        const fs::Watch watch = co_await fs::watch(folder);
        const std::string one = path("one");
        const std::string two = path("two");
        put("one", "");
        overflow(one, two, limit);
        const std::vector<std::string> seen = co_await changes_until(watch, Kind::overflow);
        EXPECT_EQ(seen.size(), limit + 1);
        EXPECT_EQ(seen.back(), "overflow");
        // It goes on after that.
        std::filesystem::create_directory(path("d"));
        const std::vector<std::string> after = co_await changes_until(watch, Kind::created);
        EXPECT_EQ(after, std::vector<std::string>{"created d/"});
    });
}

TEST_F(WatchTest, tells_what_is_gone_also_when_that_was_lost) {
    std::size_t limit = 0;
    std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
    if (limit == 0 || limit > 100000) GTEST_SKIP() << "max_queued_events is " << limit;
    asyncio::run([&]() -> Coro<> {
        for (const char* name : {"removed", "moved", "new", "stays"})
            std::filesystem::create_directory(path(name));
        put("stays/one", "");
        const fs::Watch watch = co_await fs::watch(path("removed"));
        co_await watch.add(path("moved"));
        co_await watch.add(path("new"));
        co_await watch.add(path("stays"));
        overflow(path("stays/one"), path("stays/two"), limit);
        std::filesystem::remove(path("removed"));
        std::filesystem::rename(path("moved"), path("elsewhere"));
        std::filesystem::remove(path("new"));
        std::filesystem::create_directory(path("new"));
        co_await changes_until(watch, Kind::overflow);
        std::set<std::string> gone;
        for (int i = 0; i < 3; ++i) {
            const std::optional<Change> change = co_await watch.next();
            EXPECT_EQ(change.value().kind, Kind::gone);
            gone.insert(change->watched);
        }
        EXPECT_EQ(gone, (std::set<std::string>{path("removed"), path("moved"), path("new")}));
        put("elsewhere/x", "");
        put("new/x", "");
        std::filesystem::remove(path("stays/one"));
        const std::optional<Change> change = co_await watch.next();
        EXPECT_EQ(change.value().path(), path("stays/one"));
    });
}

TEST_F(WatchTest, cancelling_loses_no_change_and_closing_ends_the_wait) {
    asyncio::run([&]() -> Coro<> {
        fs::Watch watch = co_await fs::watch(folder);
        for (int i = 0; i < 20; ++i) {
            Task<std::optional<Change>> next = create_task(watch.next());
            co_await sleep(Duration::zero());
            std::filesystem::create_directory(path("d" + std::to_string(i)));
            if (i % 2 == 0) co_await sleep(Duration::zero());
            next.cancel();
            const auto outcome = co_await as_outcome(next);
            std::optional<Change> change;
            if (outcome) change = *outcome;
            if (!outcome) change = co_await watch.next();
            EXPECT_EQ(change.value().name, "d" + std::to_string(i));
        }
        Task<std::optional<Change>> one = create_task(watch.next());
        Task<std::optional<Change>> two = create_task(watch.next());
        co_await sleep(Duration::zero());
        watch.close();
        watch.close();
        const std::optional<Change> none = co_await one;
        const std::optional<Change> nothing = co_await two;
        EXPECT_FALSE(none || nothing);
        const auto add = co_await as_outcome(watch.add(folder));
        EXPECT_FALSE(add);
        watch = co_await fs::watch(folder);  // and one is left for the loop's end
        const Task<std::optional<Change>> left_behind = create_task(watch.next());
        co_await sleep(Duration::zero());
    });
}

TEST_F(WatchTest, what_cannot_be_watched_is_an_error_that_names_it) {
    asyncio::run([&]() -> Coro<> {
        const auto missing = co_await as_outcome(fs::watch(path("none")));
        EXPECT_EQ(error_of(missing), "watch " + path("none") + ": No such file or directory");
    });
}

TEST_F(WatchTest, a_watch_outlives_its_loop) {
    std::optional<fs::Watch> watch;
    asyncio::run([&]() -> Coro<> { watch = co_await fs::watch(folder); });
    watch->close();
}

}  // namespace
}  // namespace asyncio
