// SPDX-License-Identifier: MIT
//
// A watch whose adds and waits are cancelled, or find no descriptor: no change is lost or told
// twice, and what was begun is finished by whoever comes next.
#include <asyncio/file/watch_fixture_test.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

namespace asyncio::watch_tests {
namespace {

using ::testing::Contains;

/// What `next` brings, which is cancelled now; if that is nothing, what is next then.
Coro<std::optional<Change>> cancelled_and_asked_again(const fs::Watch& watch,
                                                      const Task<std::optional<Change>>& next) {
    next.cancel();
    const auto outcome = co_await as_outcome(next);
    std::optional<Change> change;
    if (outcome) change = *outcome;
    if (!outcome) change = co_await watch.next();
    co_return change;
}

/// As long as it lives, this process may open no more.
class NoDescriptors {
  public:
    NoDescriptors() : lowest_free_(::dup(0)) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit full = {static_cast<rlim_t>(lowest_free_.get()) + 1, before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &full);
    }
    NoDescriptors(const NoDescriptors&) = delete;
    NoDescriptors& operator=(const NoDescriptors&) = delete;
    ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

  private:
    os::Fd lowest_free_;
    rlimit before_ = {};
};

/// Of the changes up to that of `last`.
Coro<std::vector<std::string>> names_until(const fs::Watch& watch, std::string last) {
    std::vector<std::string> seen;
    while (seen.empty() || seen.back() != last) {
        const std::optional<Change> change = co_await watch.next();
        if (!change) break;
        seen.push_back(change->name);
    }
    co_return seen;
}

TEST_P(WatchTest, a_look_after_an_overflow_that_is_cancelled_is_made_again) {
    if (limit_of_queue() > 100'000) GTEST_SKIP() << "max_queued_events is " << limit_of_queue();
    run([&]() -> Coro<> {
        mkdir("stays");
        for (int turns = 0; turns < 6; ++turns) {
            const fs::Watch watch = co_await watch_of_what_went_unheard();
            const Task<std::optional<Change>> next = create_task(watch.next());
            for (int i = 0; i < turns; ++i) co_await sleep(Duration::zero());
            const std::optional<Change> change = co_await cancelled_and_asked_again(watch, next);
            EXPECT_EQ(change.value().kind, Kind::gone) << turns;
            EXPECT_EQ(change.value().watched, path("removed")) << turns;
        }
    });
}

TEST_P(WatchTest, a_look_after_a_move_that_is_cancelled_is_made_again) {
    run([&]() -> Coro<> {
        mkdir("here");
        for (int turns = 0; turns < 8; ++turns) {
            const fs::Watch watch = co_await fs::watch(path("here"));
            rename("here", "there");
            const Task<std::optional<Change>> next = create_task(watch.next());
            for (int i = 0; i < turns; ++i) co_await sleep(Duration::zero());
            const std::optional<Change> change = co_await cancelled_and_asked_again(watch, next);
            EXPECT_EQ(change.value().kind, Kind::gone) << turns;
            EXPECT_EQ(change.value().watched, path("here")) << turns;
            const std::optional<Change> none = co_await watch.next();
            EXPECT_FALSE(none) << turns;
            rename("there", "here");
        }
    });
}

TEST_P(WatchTest, what_is_added_again_after_a_cancelled_add_is_watched) {
    run([&]() -> Coro<> {
        mkdir("one");
        mkdir("two");
        for (int turns = 0; turns < 8; ++turns) {
            const fs::Watch watch = co_await fs::watch(path("one"));
            const Task<void> add = create_task(watch.add(path("two")));
            for (int i = 0; i < turns; ++i) co_await sleep(Duration::zero());
            add.cancel();
            (void)co_await as_outcome(add);
            mkdir("two/before");
            co_await watch.add(path("two"));
            mkdir("two/after");
            mkdir("one/last");
            const std::vector<std::string> seen = co_await names_until(watch, "last");
            EXPECT_THAT(seen, Contains("after")) << turns;
            for (const char* name : {"two/before", "two/after", "one/last"}) rmdir(name);
        }
    });
}

TEST_P(WatchTest, cancelling_loses_no_change_and_closing_ends_the_wait) {
    run([&]() -> Coro<> {
        fs::Watch watch = co_await fs::watch(folder);
        for (int i = 0; i < 20; ++i) {
            const Task<std::optional<Change>> next = create_task(watch.next());
            co_await sleep(Duration::zero());
            mkdir("d" + std::to_string(i));
            if (i % 2 == 0) co_await sleep(Duration::zero());
            const std::optional<Change> change = co_await cancelled_and_asked_again(watch, next);
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

/// How many paths the inotify instance of this process watches; it may have two descriptors.
std::size_t watched_by_the_system() {
    std::set<std::string> watched;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fdinfo")) {
        std::ifstream info(entry.path());
        for (std::string line; std::getline(info, line);)
            if (line.starts_with("inotify wd:")) watched.insert(line);
    }
    return watched.size();
}

TEST_P(WatchTest, what_a_cancelled_add_has_begun_to_watch_goes_with_its_first_record) {
    if (GetParam()) GTEST_SKIP() << "asks the system what it watches";
    run([&]() -> Coro<> {
        mkdir("wanted");
        mkdir("given-up");
        const fs::Watch watch = co_await fs::watch(path("wanted"));
        const std::size_t before = watched_by_the_system();
        const Task<void> add =
            create_task(watch.add(path("given-up")), TaskOptions{.eager_start = true});
        // The loop does not run, so the task does not hear that its thread is done.
        const auto limit = std::chrono::steady_clock::now() + std::chrono::minutes(1);
        while (watched_by_the_system() == before && std::chrono::steady_clock::now() < limit)
            std::this_thread::yield();
        add.cancel();
        const auto outcome = co_await as_outcome(add);
        EXPECT_FALSE(outcome);
        EXPECT_EQ(watched_by_the_system(), before + 1);
        put("given-up/x", "");
        put("wanted/x", "");
        const std::optional<Change> change = co_await watch.next();
        EXPECT_EQ(change.value().path(), path("wanted/x"));
        EXPECT_EQ(watched_by_the_system(), before);
    });
}

TEST_P(WatchTest, a_look_after_an_overflow_for_which_there_is_no_descriptor_is_made_again) {
    if (GetParam() || limit_of_queue() > 100'000) GTEST_SKIP() << "limits the real system";
    run([&]() -> Coro<> {
        mkdir("stays");
        const fs::Watch watch = co_await watch_of_what_went_unheard();
        {
            const NoDescriptors full;
            const auto refused = co_await as_outcome(watch.next());
            EXPECT_EQ(errno_of(refused), EMFILE);
        }
        const std::optional<Change> change = co_await watch.next();
        EXPECT_EQ(change.value().kind, Kind::gone);
        EXPECT_EQ(change.value().watched, path("removed"));
    });
}

TEST_P(WatchTest, a_look_after_a_move_for_which_there_is_no_descriptor_keeps_no_change_back) {
    if (GetParam()) GTEST_SKIP() << "limits the real system";
    run([&]() -> Coro<> {
        mkdir("here");
        const fs::Watch watch = co_await fs::watch(path("here"));
        mkdir("here/one");
        rename("here", "there");
        {
            const NoDescriptors full;
            const auto refused = co_await as_outcome(watch.next());
            EXPECT_EQ(errno_of(refused), EMFILE);
            const std::optional<Change> change = co_await watch.next();
            EXPECT_EQ(change.value().name, "one");
        }
        const std::optional<Change> change = co_await watch.next();
        EXPECT_EQ(change.value().kind, Kind::gone);
    });
}

}  // namespace
}  // namespace asyncio::watch_tests
