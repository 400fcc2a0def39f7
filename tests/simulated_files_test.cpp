// SPDX-License-Identifier: MIT
//
// Programs that keep files, on disks that are slow, give up, and lose their power at any moment
// (testing/disk.hpp):
//
//   log       a server acknowledges a record when its write-ahead log has it, and is crashed again
//             and again: no acknowledged record is ever lost, none is there twice
//   settings  a program replaces a file by fs::write_atomic(): the old one or the new one, whole
//   tree      everything the library can do with files gives what it gives on a real disk
//
// ASYNCIO_TEST_SCALE=100 makes ten thousand worlds of each.
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/simulation.hpp>

#include <algorithm>
#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>

#include "simulated_figure_test.hpp"

namespace asyncio {
namespace {

using namespace std::chrono_literals;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::simulate;
using testing::simulate_seeds;
using testing::Simulation;
using testing::SimulationFailed;
using ::testing::UnorderedElementsAre;

constexpr std::uint64_t kWorlds = 100;

/// A program alone on a host, to its end.
template <class F>
auto alone(F program) {
    return [program](Simulation& sim) -> Coro<> {
        auto& host = sim.host("host", program);
        co_await host.finished();
    };
}

// --- log -----------------------------------------------------------------------------------------

constexpr const char* kLog = "data/log";

/// "12 c\n": a number and what shows that it was written to its end.
std::string record_of(int number) {
    return std::to_string(number) + " " + static_cast<char>('a' + number % 26) + "\n";
}

/// The records at the beginning of `text` that are whole; `end`: where they end.
std::vector<int> records_in(const std::string& text, std::size_t& end) {
    std::vector<int> records;
    end = 0;
    for (;;) {
        const std::size_t newline = text.find('\n', end);
        if (newline == std::string::npos) return records;
        const std::string line = text.substr(end, newline + 1 - end);
        int number = -1;
        if (std::sscanf(line.c_str(), "%d ", &number) != 1 || line != record_of(number))
            return records;
        records.push_back(number);
        end = newline + 1;
    }
}

/// What a program that wants to keep its records does when it starts: torn ends are cut off, and
/// the file's name is on the disk before anything is acknowledged.
Coro<File> open_log(std::vector<int>& records) {
    co_await fs::makedirs("data", {.exist_ok = true});
    co_await fs::sync_directory(".");
    File log = co_await open(kLog, O_RDWR | O_CREAT, {.buffering = 0});
    co_await fs::sync_directory("data");
    std::size_t end = 0;
    records = records_in(co_await log.read(), end);
    co_await log.truncate(static_cast<std::int64_t>(end));
    co_await log.fsync();
    co_await log.seek(static_cast<std::int64_t>(end));
    co_return log;
}

Coro<> keep_records(File& log, std::vector<int>& records, StreamReader& reader,
                    StreamWriter& writer) {
    auto lines = reader.lines();
    while (auto line = co_await lines.next()) {
        const int number = std::stoi(std::string(*line));
        if (std::ranges::find(records, number) == records.end()) {
            co_await log.write(record_of(number));
            co_await log.fsync(true);
            records.push_back(number);
        }
        writer.write(std::to_string(number) + "\n");
        co_await writer.drain();
    }
}

/// One connection at a time: the log has one writer.
Coro<> serve_log() {
    std::vector<int> records;
    File log = co_await open_log(records);
    Lock one_at_a_time;
    auto serve = [&](StreamReader& reader, StreamWriter& writer) -> Coro<> {
        const auto held = co_await one_at_a_time.scoped();
        try {
            co_await keep_records(log, records, reader, writer);
        } catch (const std::system_error& error) {
            if (error.code().value() == EIO) throw;  // the disk's; those of the client are his
        }
    };
    Server server = co_await start_server(serve, "", 7777);
    co_await server.serve_forever();
}

/// Each record until it is acknowledged.
Coro<> send_records(int count, std::vector<int>& acknowledged) {
    int number = 0;
    while (number < count) {
        try {
            co_await with(timeout(5s), [&](Timeout&) -> Coro<> {
                auto [reader, writer] = co_await open_connection("server", 7777);
                while (number < count) {
                    writer.write(std::to_string(number) + "\n");
                    if (co_await reader.readline() != std::to_string(number) + "\n") break;
                    acknowledged.push_back(number++);
                }
                writer.close();
            });
        } catch (const std::system_error&) {  // TimeoutError, too
        }
        co_await sleep(100ms);
    }
}

Coro<> crash_now_and_then(Simulation& sim, testing::SimulatedHost& server,
                          testing::SimulatedHost& client) {
    while (client.running()) {
        co_await sleep(sim.random().between(1ms, 2s));
        if (!client.running()) break;
        server.crash();
        co_await sleep(sim.random().between(1ms, 500ms));
        server.restart();
    }
}

TEST(SimulatedFiles, no_acknowledged_record_is_lost_whenever_the_power_goes) {
    constexpr int kRecords = 40;
    tell("log", kWorlds, [](Simulation& sim) -> Coro<> {
        std::vector<int> acknowledged;
        auto& server = sim.host("server", serve_log);
        auto& client =
            sim.host("client", [&]() -> Coro<> { co_await send_records(kRecords, acknowledged); });
        co_await crash_now_and_then(sim, server, client);
        server.crash();
        co_await sleep(1ms);
        EXPECT_EQ(acknowledged.size(), static_cast<std::size_t>(kRecords));
        std::size_t end = 0;
        const auto kept = records_in(server.disk().read(kLog).value_or(""), end);
        EXPECT_EQ(kept, acknowledged) << "each once, and in their order";
    });
}

// --- settings ------------------------------------------------------------------------------------

std::string version(int number) { return std::string(2000, static_cast<char>('a' + number % 26)); }

TEST(SimulatedFiles, write_atomic_leaves_the_old_one_or_the_new_one) {
    tell("settings", kWorlds, [](Simulation& sim) -> Coro<> {
        int begun = 0;
        int done = 0;
        auto& host = sim.host("host", [&]() -> Coro<> {
            for (;;) {
                const std::string text = version(++begun);
                co_await fs::write_atomic("settings", text);
                done = begun;
            }
        });
        for (int i = 0; i < 5; ++i) {
            co_await sleep(sim.random().between(1ms, 200ms));
            host.crash();
            co_await sleep(1ms);
            const auto found = host.disk().read("settings");
            if (!found) {
                EXPECT_EQ(done, 0) << "the name was saved with the first one";
            } else {
                EXPECT_THAT(*found, AnyOf(version(done), version(begun)));
            }
            begun = done = found && *found == version(begun) ? begun : done;
            host.restart();
        }
        host.crash();
    });
}

/// What is easily forgotten is seen: a replacement without an fsync is torn sooner or later.
TEST(SimulatedFiles, a_replacement_that_is_not_saved_is_found_torn) {
    int torn = 0;
    simulate_seeds(kWorlds, [&](Simulation& sim) -> Coro<> {
        auto& host = sim.host("host", []() -> Coro<> {
            const std::string fresh = version(1);
            co_await fs::write_file("settings", version(0));
            co_await fs::write_file("settings.new", fresh);
            co_await fs::rename("settings.new", "settings");
            co_await sleep(1h);
        });
        co_await sleep(5s);
        host.crash();
        co_await sleep(1ms);
        const auto found = host.disk().read("settings").value_or("");
        if (found != version(0) && found != version(1)) ++torn;
    });
    EXPECT_GT(torn, 0);
}

// --- tree ----------------------------------------------------------------------------------------

Coro<> read_and_write() {
    {
        File file = co_await open("notes.txt", "w");
        for (int i = 0; i < 100; ++i) co_await file.write("line " + std::to_string(i) + "\n");
        co_await file.close();
    }
    File file = co_await open("notes.txt");
    auto lines = file.lines();
    int count = 0;
    while (auto line = co_await lines.next())
        EXPECT_EQ(*line, "line " + std::to_string(count++) + "\n");
    EXPECT_EQ(count, 100);
    EXPECT_EQ(co_await file.pread(6, 7), "line 1");
    co_await file.close();
    File log = co_await open("notes.txt", "a+");
    co_await log.write("end");
    EXPECT_EQ(co_await log.tell(), 793);
    co_await log.seek(-3, Whence::end);
    EXPECT_EQ(co_await log.read(), "end");
    co_await log.truncate(0);
    co_await log.close();
    EXPECT_EQ(co_await fs::getsize("notes.txt"), 0u);
    try {
        co_await open("missing.txt");
        ADD_FAILURE() << "it is not there";
    } catch (const std::system_error& error) {
        EXPECT_THAT(error.what(), HasSubstr("open missing.txt: No such file"));
    }
}

Coro<> copy_and_replace() {
    const std::string text(100'000, 'x');
    co_await fs::write_file("big", text);
    EXPECT_EQ(co_await fs::copy("big", "copy"), text.size());
    EXPECT_EQ(co_await fs::read_file("copy"), text);
    co_await fs::chmod("copy", 0640);
    co_await fs::write_atomic("copy", "small");
    EXPECT_EQ(co_await fs::read_file("copy"), "small");
    EXPECT_EQ((co_await fs::stat("copy")).mode & 0777u, 0640u);
    co_await fs::symlink("copy", "link");
    EXPECT_EQ(co_await fs::readlink("link"), "copy");
    EXPECT_EQ(co_await fs::realpath("link"), "/copy");
    EXPECT_TRUE(co_await fs::is_symlink("link"));
    const char* const names[] = {"big", "copy", "link", "notes.txt"};
    for (const char* name : names) co_await fs::remove(name);
    EXPECT_FALSE(co_await fs::exists("copy"));
}

Coro<> walk_and_remove() {
    co_await fs::makedirs("tree/a/b");
    co_await fs::mkdir("tree/c");
    const char* const names[] = {"tree/1", "tree/a/2", "tree/a/b/3"};
    for (const char* name : names) co_await fs::write_file(name, "");
    EXPECT_THAT(co_await fs::listdir("tree"), UnorderedElementsAre("1", "a", "c"));
    std::set<std::string> seen;
    auto walk = fs::walk("tree");
    while (auto* step = co_await walk.next())
        for (const std::string& name : step->files) seen.insert(step->path + "/" + name);
    EXPECT_THAT(seen, ElementsAre("tree/1", "tree/a/2", "tree/a/b/3"));
    auto entries = co_await fs::scandir("tree/a");
    int directories = 0;
    while (auto entry = co_await entries.next()) directories += entry->is_dir();
    EXPECT_EQ(directories, 1);
    co_await fs::rmtree("tree");
    EXPECT_FALSE(co_await fs::exists("tree"));
}

Coro<> make_temporaries() {
    File nameless = co_await fs::temporary_file();
    co_await nameless.write("x");
    co_await nameless.close();
    {
        auto named = co_await fs::named_temporary_file();
        co_await named.close();
        EXPECT_EQ((co_await fs::listdir("/tmp")).size(), 1u);
    }
    co_await with(fs::TemporaryDirectory(), [](const std::string& path) -> Coro<> {
        co_await fs::write_file(path + "/file", "x");
    });
    EXPECT_THAT(co_await fs::listdir("/tmp"), ElementsAre());
}

Coro<> use_all() {
    co_await read_and_write();
    co_await copy_and_replace();
    co_await walk_and_remove();
    co_await make_temporaries();
}

TEST(SimulatedFiles, the_library_works_on_a_simulated_disk_as_on_a_real_one) {
    simulate_seeds(kWorlds, alone(use_all));
}

TEST(SimulatedFiles, hosts_have_disks_of_their_own) {
    simulate(1, [](Simulation& sim) -> Coro<> {
        auto& a = sim.host("a", []() -> Coro<> { co_await fs::write_file("file", "a"); });
        auto& b = sim.host("b", []() -> Coro<> { co_await fs::write_file("file", "b"); });
        b.disk().write("given/file", "for b");
        co_await a.finished();
        co_await b.finished();
        EXPECT_EQ(a.disk().read("file"), "a");
        EXPECT_EQ(b.disk().read("file"), "b");
        EXPECT_EQ(b.disk().read("given/file"), "for b");
        EXPECT_EQ(a.disk().read_saved("file"), std::nullopt);
    });
}

// --- files that are sent -------------------------------------------------------------------------

constexpr std::string_view kPage = "what the page says, from the beginning to the end";

Coro<> send_page(StreamWriter& writer) {
    EventLoop& loop = get_running_loop();
    const File page = co_await open("page", "rb");
    co_await loop.sendfile(*writer.transport(), page.fileno(), {.offset = 5, .count = 3});
    co_await loop.sendfile(*writer.transport(), page.fileno());
}

Coro<> serve_pages() {
    co_await fs::write_file("page", kPage);
    const auto serve = [](StreamReader&, StreamWriter& writer) -> Coro<> {
        co_await send_page(writer);
        writer.close();
    };
    Server server = co_await start_server(serve, "", 80);
    co_await server.serve_forever();
}

Coro<> fetch_page(std::string& got) {
    auto [reader, writer] = co_await open_connection("server", 80);
    got = co_await reader.read();
    writer.close();
}

TEST(SimulatedFiles, SENDF_01_SENDF_02_hosts_send_their_files) {
    std::string got;
    simulate(1, [&](Simulation& sim) -> Coro<> {
        sim.host("server", serve_pages);
        co_await sleep(1s);
        co_await sim.host("client", [&]() -> Coro<> { co_await fetch_page(got); }).finished();
    });
    EXPECT_EQ(got, std::string(kPage.substr(5, 3)) + std::string(kPage));
}

TEST(SimulatedFiles, a_full_disk_is_an_error_and_what_was_buffered_is_kept) {
    simulate(1, [](Simulation& sim) -> Coro<> {
        testing::SimulatedHost* host = nullptr;
        host = &sim.host("host", [&]() -> Coro<> {
            host->disk().faults.capacity = 1000;
            File file = co_await open("file", "w", {.buffering = 100});
            const std::string text(900, 'x');
            co_await file.write(text);
            try {
                co_await file.write(text);
                ADD_FAILURE() << "the disk is full";
            } catch (const std::system_error& error) {
                EXPECT_EQ(error.code().value(), ENOSPC);
            }
            host->disk().faults.capacity = 10'000;
            co_await file.close();
        });
        co_await host->finished();
    });
}

TEST(SimulatedFiles, a_file_that_is_left_open_fails_the_world) {
    static File kept;
    try {
        simulate(1, alone([]() -> Coro<> { kept = co_await open("left.txt", "w"); }));
        ADD_FAILURE() << "it was not seen";
    } catch (const SimulationFailed& failed) {
        EXPECT_THAT(failed.what(), HasSubstr("left descriptor 0 (file left.txt) open"));
    }
    kept = File();
}

}  // namespace
}  // namespace asyncio
