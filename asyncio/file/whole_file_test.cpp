// SPDX-License-Identifier: MIT
//
// Whole files: read and written in one call; small ones on the spot, and closed together.
#include <asyncio/file/closing.hpp>
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/whole_file.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

namespace asyncio {
namespace {

namespace stdfs = std::filesystem;

using FsTest = FolderTest;

TEST_F(FsTest, whole_files) {
    asyncio::run([&]() -> Coro<> {
        const std::string text(3 << 20, 't');
        co_await fs::write_file(path("w"), text);
        const std::string back = co_await fs::read_file(path("w"));
        EXPECT_EQ(back, text);
        const std::uint64_t copied = co_await fs::copy(path("w"), path("copy"));
        EXPECT_EQ(copied, text.size());
        const std::string copy = co_await fs::read_file(path("copy"));
        EXPECT_EQ(copy, text);
        const auto same = co_await as_outcome(fs::copy(path("w"), path("w")));
        EXPECT_FALSE(same);
        EXPECT_EQ(stdfs::file_size(path("w")), text.size());
        const std::uint64_t from_proc = co_await fs::copy("/proc/self/status", path("proc"));
        EXPECT_GT(from_proc, 100u);
        const auto none = co_await as_outcome(fs::copy(path("none"), path("z")));
        EXPECT_EQ(error_of(none), "open " + path("none") + ": No such file or directory");
        EXPECT_FALSE(stdfs::exists(path("z")));
        const auto full = co_await as_outcome(fs::copy(path("w"), "/dev/full"));
        EXPECT_FALSE(full);
    });
}

TEST_F(FsTest, whole_files_of_every_size) {
    std::string text;
    for (std::size_t i = 0; i < (17u << 20); ++i) text += static_cast<char>(i * 2654435761u >> 13);
    asyncio::run([&]() -> Coro<> {
        for (const std::size_t size :
             {0u, 1u, 4095u, 4096u, 16383u, 16384u, 16385u, 100'000u, 17u << 20}) {
            put("f", text.substr(0, size));
            const std::string read = co_await fs::read_file(path("f"));
            EXPECT_EQ(read.size(), size);
            EXPECT_TRUE(text.starts_with(read));
        }
        const std::string status = co_await fs::read_file("/proc/self/status");
        EXPECT_NE(status.find("voluntary_ctxt_switches"), std::string::npos);
        const std::string null = co_await fs::read_file("/dev/null");
        EXPECT_EQ(null, "");
    });
}

TEST_F(FsTest, reading_small_files_lets_others_have_their_turn) {
    put("f", "text");
    asyncio::run([&]() -> Coro<> {
        bool stop = false;
        auto read_on = [&]() -> Coro<> {
            while (!stop) {
                const std::string text = co_await fs::read_file(path("f"));
                EXPECT_EQ(text, "text");
            }
        };
        Task<> reading = create_task(read_on);
        for (int i = 0; i < 10; ++i) co_await sleep(Duration::zero());
        stop = true;
        co_await reading;
    });
}

/// So many of our descriptors lead to files below `place`.
std::ptrdiff_t open_below(const std::string& place) {
    const auto leads_below = [&](const stdfs::directory_entry& entry) {
        std::error_code gone;  // the descriptor that lists them
        return stdfs::read_symlink(entry.path(), gone).string().starts_with(place);
    };
    const stdfs::directory_iterator all("/proc/self/fd");
    return std::count_if(begin(all), end(all), leads_below);
}

/// More than are closed with one call.
constexpr std::size_t kReaders = 2 * file::Closing::kMost + 5;

TEST_F(FsTest, what_was_read_is_closed_when_its_reader_goes_on) {
    put("f", "text");
    asyncio::run([&]() -> Coro<> {
        auto read = [&]() -> Coro<> {
            const std::string text = co_await fs::read_file(path("f"));
            EXPECT_EQ(text, "text");
            EXPECT_EQ(open_below(folder), 0);
        };
        std::vector<Coro<>> readers;
        for (std::size_t i = 0; i < kReaders; ++i) readers.push_back(read());
        co_await gather(std::move(readers));
    });
}

TEST_F(FsTest, A2_what_cancelled_readers_had_opened_is_closed) {
    put("f", "text");
    asyncio::run([&]() -> Coro<> {
        std::vector<Task<std::string>> readers;
        for (std::size_t i = 0; i < kReaders; ++i)
            readers.push_back(create_task(fs::read_file(path("f"))));
        co_await sleep(Duration::zero());
        for (const auto& reader : readers) EXPECT_TRUE(reader.cancel());
        for (const auto& reader : readers) (void)co_await as_outcome(reader);
        EXPECT_EQ(open_below(folder), 0);
    });
}

TEST_F(FsTest, what_was_read_is_closed_with_the_loop) {
    put("f", "text");
    EventLoop loop;
    loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});  // it tells the task
    std::optional<Task<std::string>> reader;
    loop.call_soon([&] {
        reader = create_task(fs::read_file(path("f")));
        loop.call_soon([&] { loop.stop(); });
    });
    loop.run_forever();
    loop.close();
    EXPECT_EQ(open_below(folder), 0);
}

TEST_F(FsTest, readers_at_once_get_along_with_few_descriptors) {
    put("f", "text");
    asyncio::run([&]() -> Coro<> {
        (void)co_await fs::read_file(path("f"));  // what the loop needs is open
        rlimit before = {};
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
        const int next = ::dup(0);
        ::close(next);
        rlimit few = before;
        few.rlim_cur = static_cast<rlim_t>(next) + 3;
        ::setrlimit(RLIMIT_NOFILE, &few);
        std::vector<Coro<std::string>> readers;
        for (std::size_t i = 0; i < kReaders; ++i) readers.push_back(fs::read_file(path("f")));
        const auto read = co_await as_outcome(gather(std::move(readers)));
        ::setrlimit(RLIMIT_NOFILE, &before);
        EXPECT_TRUE(static_cast<bool>(read)) << error_of(read);
    });
}

}  // namespace
}  // namespace asyncio
