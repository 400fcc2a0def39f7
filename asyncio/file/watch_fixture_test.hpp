// SPDX-License-Identifier: MIT
//
// What the tests of fs::Watch share. Each runs on the real system, and on a host of a simulated
// world.
#pragma once

#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/watch.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/testing/simulation.hpp>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>

namespace asyncio::watch_tests {

using fs::Change;
using Kind = Change::Kind;
using FileKind = os::FileCall::Kind;

/// The changes up to the first of `last`, as "kind name".
inline Coro<std::vector<std::string>> changes_until(const fs::Watch& watch, Kind last) {
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

inline Coro<fs::Watch> WatchTest::watch_of_what_went_unheard() const {
    mkdir("removed");
    put("stays/one", "");
    fs::Watch watch = co_await fs::watch(path("removed"));
    co_await watch.add(path("stays"));
    overflow("stays/one", "stays/two");
    rmdir("removed");
    co_await changes_until(watch, Kind::overflow);
    co_return watch;
}

}  // namespace asyncio::watch_tests
