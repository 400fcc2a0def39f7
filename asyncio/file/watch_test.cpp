// SPDX-License-Identifier: MIT
//
// Each test runs on the real system, and on a host of a simulated world.
#include <asyncio/file/watch_fixture_test.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/wait_for.hpp>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio::watch_tests {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;

INSTANTIATE_TEST_SUITE_P(, WatchTest, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "simulated" : "real"; });

TEST_P(WatchTest, tells_what_happens_in_a_directory_in_its_order) {
    run([&]() -> Coro<> {
        put("before", "x");
        const fs::Watch watch = co_await fs::watch(folder);
        put("a", "text");
        rename("a", "b");
        mkdir("d");
        EXPECT_EQ(os::set_mode(path("b").c_str(), 0600), 0);
        remove("b");
        const std::vector<std::string> seen = co_await changes_until(watch, Kind::removed);
        EXPECT_EQ(seen, (std::vector<std::string>{"created a", "modified a", "written a",
                                                  "moved_from a", "moved_to b", "created d/",
                                                  "attributes b", "removed b"}));
    });
}

TEST_P(WatchTest, wakes_who_waits_and_tells_paths_and_pairs) {
    run([&]() -> Coro<> {
        const fs::Watch watch = co_await fs::watch(folder);
        Task<std::optional<Change>> next = create_task(watch.next());
        co_await sleep(Duration::zero());
        EXPECT_FALSE(next.done());
        put("a", "");
        const std::optional<Change> created = co_await next;
        EXPECT_EQ(created.value().path(), path("a"));
        co_await changes_until(watch, Kind::written);
        rename("a", "b");
        const std::optional<Change> from = co_await watch.next();
        const std::optional<Change> to = co_await watch.next();
        EXPECT_EQ(from.value().kind, Kind::moved_from);
        EXPECT_EQ(to.value().kind, Kind::moved_to);
        EXPECT_NE(from->pair, 0u);
        EXPECT_EQ(from->pair, to->pair);
    });
}

TEST_P(WatchTest, ends_when_what_is_watched_is_gone) {
    run([&]() -> Coro<> {
        mkdir("one");
        mkdir("two");
        put("file", "x");
        const fs::Watch watch = co_await fs::watch(path("one"));
        co_await watch.add(path("two"));
        co_await watch.add(path("file"));
        rmdir("one");
        std::vector<std::string> seen = co_await changes_until(watch, Kind::gone);
        EXPECT_EQ(seen, std::vector<std::string>{"gone"});
        rename("two", "three");
        const std::optional<Change> moved = co_await watch.next();
        EXPECT_EQ(moved.value().kind, Kind::gone);
        EXPECT_EQ(moved->path(), path("two"));
        remove("file");
        seen = co_await changes_until(watch, Kind::gone);
        EXPECT_EQ(seen, (std::vector<std::string>{"attributes", "gone"}));
        const std::optional<Change> none = co_await watch.next();
        EXPECT_FALSE(none.has_value());
    });
}

TEST_P(WatchTest, says_that_changes_were_lost) {
    const std::size_t limit = limit_of_queue();
    if (limit > 100'000) GTEST_SKIP() << "max_queued_events is " << limit;
    run([&]() -> Coro<> {
        const fs::Watch watch = co_await fs::watch(folder);
        put("one", "");
        overflow("one", "two");
        const std::vector<std::string> seen = co_await changes_until(watch, Kind::overflow);
        EXPECT_EQ(seen.size(), limit + 1);
        EXPECT_EQ(seen.back(), "overflow");
        // It goes on after that.
        mkdir("d");
        const std::vector<std::string> after = co_await changes_until(watch, Kind::created);
        EXPECT_EQ(after, std::vector<std::string>{"created d/"});
    });
}

/// The system says so in the place where it began to lose, and loses more behind that.
TEST_P(WatchTest, what_is_seen_after_an_overflow_is_not_told_an_older_story) {
    if (limit_of_queue() > 100'000) GTEST_SKIP() << "max_queued_events is " << limit_of_queue();
    run([&]() -> Coro<> {
        const fs::Watch watch = co_await fs::watch(folder);
        put("one", "");
        put("file", "");
        overflow("one", "two");
        co_await watch.next();  // makes room
        remove("file");
        overflow("one", "two");
        put("file", "");  // is lost
        co_await changes_until(watch, Kind::overflow);
        mkdir("last");
        const std::vector<std::string> after = co_await changes_until(watch, Kind::created);
        EXPECT_EQ(after, std::vector<std::string>{"created last/"});
    });
}

TEST_P(WatchTest, tells_what_is_gone_also_when_that_was_lost) {
    if (limit_of_queue() > 100'000) GTEST_SKIP() << "max_queued_events is " << limit_of_queue();
    run([&]() -> Coro<> {
        for (const char* name : {"removed", "moved", "new", "stays"}) mkdir(name);
        put("stays/one", "");
        const fs::Watch watch = co_await fs::watch(path("removed"));
        co_await watch.add(path("moved"));
        co_await watch.add(path("new"));
        co_await watch.add(path("stays"));
        overflow("stays/one", "stays/two");
        rmdir("removed");
        rename("moved", "elsewhere");
        rmdir("new");
        mkdir("new");
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
        remove("stays/one");
        const std::optional<Change> change = co_await watch.next();
        EXPECT_EQ(change.value().path(), path("stays/one"));
    });
}

TEST_P(WatchTest, what_one_task_reads_is_for_all_that_wait) {
    run([&]() -> Coro<> {
        constexpr auto kPatience = std::chrono::minutes(1);  // deadline: for what never comes
        mkdir("d");
        const fs::Watch watch = co_await fs::watch(path("d"));
        const Task<std::optional<Change>> waits = create_task(watch.next());
        const Task<std::optional<Change>> waits_too = create_task(watch.next());
        for (int i = 0; i < 5; ++i) co_await sleep(Duration::zero());
        mkdir("d/one");
        mkdir("d/two");
        // Reads both, before the loop has looked at the system.
        const std::optional<Change> first = co_await watch.next();
        EXPECT_EQ(first.value().name, "one");
        const std::optional<Change> second = co_await wait_for(waits, kPatience);
        EXPECT_EQ(second.value().name, "two");
        rmdir("d/one");
        rmdir("d/two");
        rmdir("d");
        const std::vector<std::string> rest = co_await changes_until(watch, Kind::gone);
        EXPECT_EQ(rest, (std::vector<std::string>{"removed one/", "removed two/", "gone"}));
        const std::optional<Change> none = co_await wait_for(waits_too, kPatience);
        EXPECT_FALSE(none);
    });
}

TEST_P(WatchTest, what_was_moved_and_added_under_its_new_name_stays_watched) {
    run([&]() -> Coro<> {
        mkdir("a");
        const fs::Watch watch = co_await fs::watch(path("a"));
        rename("a", "b");
        co_await watch.add(path("b"));
        for (const char* name : {"b/x", "b/y", "b/z"}) {
            mkdir(name);
            const std::optional<Change> created = co_await watch.next();
            EXPECT_EQ(created.value().path(), path(name));
        }
        rename("b", "c");
        const std::vector<std::string> rest = co_await changes_until(watch, Kind::gone);
        EXPECT_EQ(rest.back(), "gone");
        const std::optional<Change> none = co_await watch.next();
        EXPECT_FALSE(none);
    });
}

TEST_P(WatchTest, what_is_added_under_its_new_name_while_the_move_is_told_is_watched_or_gone) {
    run([&]() -> Coro<> {
        mkdir("a");
        for (int turns = 0; turns < 6; ++turns) {
            const fs::Watch watch = co_await fs::watch(path("a"));
            const Task<std::vector<std::string>> told =
                create_task(changes_until(watch, Kind::created));
            for (int i = 0; i < turns; ++i) co_await sleep(Duration::zero());
            rename("a", "b");
            co_await watch.add(path("b"));
            mkdir("b/x");
            constexpr auto kPatience = std::chrono::minutes(1);  // deadline: for what never comes
            const std::vector<std::string> seen = co_await wait_for(told, kPatience);
            EXPECT_THAT(seen.back(), AnyOf("created x/", "gone")) << turns;
            rmdir("b/x");
            rename("b", "a");
        }
    });
}

TEST_P(WatchTest, what_cannot_be_watched_is_an_error_that_names_it) {
    run([&]() -> Coro<> {
        const auto missing = co_await as_outcome(fs::watch(path("none")));
        EXPECT_EQ(error_of(missing), "watch " + path("none") + ": No such file or directory");
    });
}

TEST_P(WatchTest, a_watch_outlives_its_loop) {
    std::optional<fs::Watch> watch;
    run([&]() -> Coro<> { watch = co_await fs::watch(folder); });
    watch->close();
}

}  // namespace
}  // namespace asyncio::watch_tests
