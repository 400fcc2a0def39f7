// SPDX-License-Identifier: MIT
//
// Each test runs on the real system, and on a host of a simulated world.
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/watch.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/wait_for.hpp>
#include <asyncio/testing/simulation.hpp>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace asyncio {
namespace {

using fs::Change;
using Kind = Change::Kind;
using FileKind = os::FileCall::Kind;
using ::testing::AnyOf;
using ::testing::Contains;

class WatchTest : public FolderTest, public ::testing::WithParamInterface<bool> {
  protected:
    static constexpr std::size_t kQueue = 1000;  // of the simulated system

    template <class F>
    void run(F program) {
        if (!GetParam()) return asyncio::run(program);
        testing::simulate_seeds(20, [&](testing::Simulation& sim) -> Coro<> {
            auto& host = sim.host("host", [&]() -> Coro<> {
                mkdir("");
                co_await program();
            });
            host.disk().faults.watch_queue = kQueue;
            co_await host.finished();
        });
    }

    std::size_t limit_of_queue() const {
        std::size_t limit = 0;
        std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
        return GetParam() ? kQueue : limit == 0 ? 16'384 : limit;
    }
    /// Fill the queue of the system, beyond its limit.
    void overflow(const char* one, const char* two) const {
        const std::size_t limit = limit_of_queue();
        for (std::size_t i = 0; i < limit; i += 2) {  // two changes each
            rename(one, two);
            rename(two, one);
        }
    }
    /// Of "removed", whose end was lost in an overflow that was told, and of "stays", which is
    /// there.
    Coro<fs::Watch> watch_of_what_went_unheard() const;

    // At once, on the system that the program is on.
    void put(const std::string& name, std::string text) const {
        const int fd = os::perform({.kind = FileKind::open,
                                    .flags = O_WRONLY | O_CREAT | O_TRUNC,
                                    .mode = 0666,
                                    .path = path(name).c_str()});
        EXPECT_GE(fd, 0);
        if (!text.empty()) {
            EXPECT_GT(os::perform({.kind = FileKind::write,
                                   .fd = fd,
                                   .memory = text.data(),
                                   .size = text.size()}),
                      0);
        }
        EXPECT_EQ(os::perform({.kind = FileKind::close, .fd = fd}), 0);
    }
    void mkdir(const std::string& name) const {
        EXPECT_EQ(os::perform({.kind = FileKind::mkdir, .mode = 0777, .path = path(name).c_str()}),
                  0);
    }
    void rename(const std::string& from, const std::string& to) const {
        EXPECT_EQ(
            os::perform(
                {.kind = FileKind::rename, .path = path(from).c_str(), .other = path(to).c_str()}),
            0);
    }
    void remove(const std::string& name) const {
        EXPECT_EQ(os::remove_file(path(name).c_str()), 0);
    }
    void rmdir(const std::string& name) const {
        EXPECT_EQ(
            os::perform(
                {.kind = FileKind::unlink, .flags = AT_REMOVEDIR, .path = path(name).c_str()}),
            0);
    }
};

INSTANTIATE_TEST_SUITE_P(, WatchTest, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "simulated" : "real"; });

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

Coro<fs::Watch> WatchTest::watch_of_what_went_unheard() const {
    mkdir("removed");
    put("stays/one", "");
    fs::Watch watch = co_await fs::watch(path("removed"));
    co_await watch.add(path("stays"));
    overflow("stays/one", "stays/two");
    rmdir("removed");
    co_await changes_until(watch, Kind::overflow);
    co_return watch;
}

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

TEST_P(WatchTest, a_watch_outlives_its_loop) {
    std::optional<fs::Watch> watch;
    run([&]() -> Coro<> { watch = co_await fs::watch(folder); });
    watch->close();
}

}  // namespace
}  // namespace asyncio
