// SPDX-License-Identifier: MIT
//
// Files on both backends: io_uring makes the calls itself, epoll leaves them to threads, and nobody
// can tell.
#include <asyncio/file/file.hpp>
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/temporary.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/with.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio {
namespace {

using FileTest = FolderTest;

TEST_F(FileTest, reads_a_whole_file) {
    put("a", "some text\nmore\n");
    put("empty", "");
    asyncio::run([&]() -> Coro<> {
        File file = co_await open(path("a"));
        const std::string text = co_await file.read();
        EXPECT_EQ(text, "some text\nmore\n");
        const std::string nothing = co_await file.read();
        EXPECT_EQ(nothing, "");
        co_await file.close();
        EXPECT_TRUE(file.closed());
        co_await file.close();
        File empty = co_await open(path("empty"), "rb");
        const std::string none = co_await empty.read();
        EXPECT_EQ(none, "");
    });
}

TEST_F(FileTest, reads_what_has_no_size) {
    asyncio::run([]() -> Coro<> {
        File status = co_await open("/proc/self/status");
        const std::string text = co_await status.read();
        EXPECT_NE(text.find("voluntary_ctxt_switches"), std::string::npos);
        File null = co_await open("/dev/null");
        const std::string none = co_await null.read();
        EXPECT_EQ(none, "");
        File zero = co_await open("/dev/zero");
        const std::string zeros = co_await zero.read(100000);
        EXPECT_EQ(zeros, std::string(100000, '\0'));
    });
}

TEST_F(FileTest, reads_lines_and_pieces) {
    std::string text;
    for (int i = 0; i < 5000; ++i) text += "line " + std::to_string(i) + "\n";
    put("lines", text + "no newline");
    for (const std::size_t buffering : {0u, 1u, 7u, 65536u}) {
        asyncio::run([&]() -> Coro<> {
            File file = co_await open(path("lines"), "r", {.buffering = buffering});
            std::string all;
            int count = 0;
            auto lines = file.lines();
            while (auto line = co_await lines.next()) {
                all += *line;
                if (++count == (buffering < 100 ? 50 : 5001)) break;
            }
            const std::int64_t here = co_await file.tell();
            EXPECT_EQ(here, static_cast<std::int64_t>(all.size()));
            const std::string some = co_await file.read(10);
            all += some;
            const std::string line = co_await file.readline();
            all += line;
            const std::string rest = co_await file.read();
            EXPECT_EQ(all + rest, text + "no newline");
        });
    }
}

TEST_F(FileTest, a_line_that_is_too_long_is_refused_and_stays) {
    put("long", std::string(5000, 'x') + "\nshort\n");
    asyncio::run([&]() -> Coro<> {
        File file = co_await open(path("long"), "r", {.buffering = 100, .longest_line = 1000});
        const auto refused = co_await as_outcome(file.readline());
        EXPECT_FALSE(refused);
        const std::string all = co_await file.read();
        EXPECT_EQ(all.size(), 5007u);
    });
}

TEST_F(FileTest, writes_are_buffered_until_flush) {
    asyncio::run([&]() -> Coro<> {
        File file = co_await open(path("w"), "w");
        const std::size_t count = co_await file.write("hello ");
        EXPECT_EQ(count, 6u);
        co_await file.write(std::string("world"));
        EXPECT_EQ(get("w"), "");
        const std::int64_t here = co_await file.tell();
        EXPECT_EQ(here, 11);
        co_await file.flush();
        EXPECT_EQ(get("w"), "hello world");
        co_await file.write("!");
        co_await file.fsync();
        co_await file.fsync(true);
        EXPECT_EQ(get("w"), "hello world!");
        const std::string large(300000, 'x');
        co_await file.write(large);
        EXPECT_EQ(get("w").size(), 300012u);
        co_await file.write("end");
        co_await file.close();
        EXPECT_EQ(get("w"), "hello world!" + large + "end");
    });
}

TEST_F(FileTest, every_mode) {
    put("old", "old");
    asyncio::run([&]() -> Coro<> {
        File append = co_await open(path("old"), "a");
        const std::int64_t end = co_await append.tell();
        EXPECT_EQ(end, 3);
        co_await append.write("+new");
        co_await append.close();
        EXPECT_EQ(get("old"), "old+new");
        const auto there = co_await as_outcome(open(path("old"), "x"));
        EXPECT_EQ(error_of(there), "open " + path("old") + ": File exists");
        File exclusive = co_await open(path("fresh"), "xb");
        co_await exclusive.close();
        File both = co_await open(path("old"), "r+");
        const std::string start = co_await both.read(3);
        EXPECT_EQ(start, "old");
        co_await both.write("*");
        const std::string rest = co_await both.read();
        EXPECT_EQ(rest, "new");
        co_await both.seek(0);
        co_await both.write("OLD");
        co_await both.close();
        EXPECT_EQ(get("old"), "OLD*new");
        File anew = co_await open(path("old"), "w+");
        co_await anew.write("abc");
        co_await anew.seek(1);
        const std::string back = co_await anew.read();
        EXPECT_EQ(back, "bc");
        co_await anew.close();
        EXPECT_EQ(get("old"), "abc");
    });
    for (const char* mode : {"", "rw", "q", "r++", "rbt", "b", "wa"})
        EXPECT_THROW((void)open("x", mode), std::invalid_argument) << mode;
}

TEST_F(FileTest, seek_tell_truncate_pread_pwrite) {
    put("s", "0123456789");
    asyncio::run([&]() -> Coro<> {
        File file = co_await open(path("s"), "r+");
        const std::int64_t two = co_await file.seek(-2, Whence::end);
        EXPECT_EQ(two, 8);
        const std::string end = co_await file.read(1);
        EXPECT_EQ(end, "8");
        const std::int64_t six = co_await file.seek(-3, Whence::current);
        EXPECT_EQ(six, 6);
        const auto before = co_await as_outcome(file.seek(-1));
        EXPECT_EQ(error_of(before), "seek " + path("s") + ": Invalid argument");
        const std::string middle = co_await file.pread(4, 3);
        EXPECT_EQ(middle, "3456");
        const std::size_t wrote = co_await file.pwrite("ab", 1);
        EXPECT_EQ(wrote, 2u);
        const std::int64_t here = co_await file.tell();
        EXPECT_EQ(here, 6);
        co_await file.truncate();
        EXPECT_EQ(get("s"), "0ab345");
        co_await file.truncate(3);
        EXPECT_EQ(get("s"), "0ab");
        std::byte memory[8];
        const std::size_t past = co_await file.read_into(memory);
        EXPECT_EQ(past, 0u);
        co_await file.seek(0);
        const std::size_t got = co_await file.read_into(memory);
        EXPECT_EQ(got, 3u);
    });
}

TEST_F(FileTest, errors_name_call_and_path) {
    put("file", "x");
    asyncio::run([&]() -> Coro<> {
        const auto missing = co_await as_outcome(open(path("none")));
        EXPECT_EQ(error_of(missing), "open " + path("none") + ": No such file or directory");
        const auto directory = co_await as_outcome(open(folder));
        EXPECT_EQ(error_of(directory), "open " + folder + ": Is a directory");
        const auto below = co_await as_outcome(open(path("file/below")));
        EXPECT_EQ(error_of(below), "open " + path("file/below") + ": Not a directory");
        File reads = co_await open(path("file"));
        const auto wrote = co_await as_outcome(reads.write("x"));
        EXPECT_NE(error_of(wrote).find("not open for writing"), std::string::npos);
        File writes = co_await open(path("file"), "a");
        const auto read = co_await as_outcome(writes.read());
        EXPECT_NE(error_of(read).find("not open for reading"), std::string::npos);
        co_await reads.close();
        const auto closed = co_await as_outcome(reads.read());
        EXPECT_EQ(error_of(closed), "I/O operation on closed file");
        EXPECT_THROW(reads.fileno(), std::invalid_argument);
        const auto null_byte = co_await as_outcome([]() -> Coro<File> {
            File file = co_await open(std::string_view("a\0b", 3));
            co_return file;
        }());
        EXPECT_FALSE(null_byte);
    });
    EXPECT_THROW((void)File().read(), std::invalid_argument);
}

TEST_F(FileTest, a_full_disk_loses_nothing_that_was_acknowledged_without_saying_so) {
    asyncio::run([]() -> Coro<> {
        File full = co_await open("/dev/full", "w");
        co_await full.write("accepted");
        const auto flushed = co_await as_outcome(full.flush());
        EXPECT_EQ(error_of(flushed), "write /dev/full: No space left on device");
        const auto again = co_await as_outcome(full.flush());
        EXPECT_EQ(error_of(again), "write /dev/full: No space left on device");
        const auto closed = co_await as_outcome(full.close());
        EXPECT_EQ(error_of(closed), "write /dev/full: No space left on device");
        EXPECT_TRUE(full.closed());
    });
}

TEST_F(FileTest, with_closes_and_dropping_writes) {
    asyncio::run([&]() -> Coro<> {
        auto body = [](File& file) -> Coro<> { co_await file.write("with"); };
        co_await with(open(path("w"), "w"), body);
        EXPECT_EQ(get("w"), "with");
        {
            File dropped = co_await open(path("d"), "w");
            co_await dropped.write("dropped");
        }
        EXPECT_EQ(get("d"), "dropped");
    });
}

TEST_F(FileTest, calls_of_several_tasks_have_their_turn) {
    asyncio::run([&]() -> Coro<> {
        File file = co_await open(path("many"), "w", {.buffering = 10});
        std::vector<Coro<std::size_t>> writes;
        std::string expected;
        for (int i = 0; i < 200; ++i) {
            const std::string text(static_cast<std::size_t>(i % 25),
                                   static_cast<char>('a' + i % 26));
            expected += text;
            writes.push_back(file.write(std::string(text)));
        }
        co_await gather(std::move(writes));
        co_await file.close();
        EXPECT_EQ(get("many"), expected);
    });
}

TEST_F(FileTest, a_cancelled_read_loses_nothing) {
    std::string text;
    for (int i = 0; i < 60000; ++i) text += std::to_string(i) + "\n";
    put("c", text);
    asyncio::run([&]() -> Coro<> {
        File file = co_await open(path("c"), "r", {.buffering = 1000});
        std::string all;
        int cancelled = 0;
        for (int i = 0; i < 3000; ++i) {
            Task<std::string> read = create_task(i % 2 == 0 ? file.read(3000) : file.readline());
            for (int steps = 0; steps < i % 5; ++steps) co_await sleep(Duration::zero());
            read.cancel();
            const auto outcome = co_await as_outcome(read);
            if (outcome)
                all += *outcome;
            else
                ++cancelled;
        }
        EXPECT_GT(cancelled, 100);
        const std::string rest = co_await file.read();
        EXPECT_EQ(all + rest, text);
    });
}

TEST_F(FileTest, a_cancelled_write_keeps_what_others_wrote) {
    for (const char* mode : {"w", "a"}) {
        put("c", "");
        asyncio::run([&]() -> Coro<> {
            File file = co_await open(path("c"), mode, {.buffering = 100});
            std::string expected;
            for (int i = 0; i < 1000; ++i) {
                const std::string line = "kept " + std::to_string(i) + "\n";
                Task<> flush = create_task([&]() -> Coro<> { co_await file.flush(); });
                for (int steps = 0; steps < i % 4; ++steps) co_await sleep(Duration::zero());
                flush.cancel();
                (void)co_await as_outcome(flush);
                co_await file.write(line);
                expected += line;
            }
            co_await file.close();
            EXPECT_EQ(get("c"), expected) << mode;
        });
    }
}

TEST_F(FileTest, a_loop_may_close_under_a_read) {
    put("r", std::string(1 << 20, 'x'));
    for (int steps = 0; steps < 6; ++steps) {
        EventLoop loop;
        auto main = [&]() -> Coro<> {
            File file = co_await open(path("r"));
            auto forever = [](File f) -> Coro<> {
                for (;;) {
                    co_await f.seek(0);
                    co_await f.read();
                }
            };
            auto task = create_task(forever(std::move(file)));
            task.task().do_not_report_pending();
            for (int i = 0; i < steps; ++i) co_await sleep(Duration::zero());
        };
        loop.run_until_complete(main);
        loop.close();
    }
    SUCCEED();  // the sanitizers, and the fixtures of the kernel, say whether it was safe
}

TEST_F(FileTest, a_fifo_is_waited_for) {
    ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
    asyncio::run([&]() -> Coro<> {
        File reader = co_await open(path("fifo"));
        Task<std::string> read = create_task(reader.read());
        for (int i = 0; i < 3; ++i) co_await sleep(Duration::zero());
        EXPECT_FALSE(read.done());
        File writer = co_await open(path("fifo"), "w");
        co_await writer.write("through the fifo");
        co_await writer.close();
        const std::string text = co_await read;
        EXPECT_EQ(text, "through the fifo");
        const auto sought = co_await as_outcome(reader.seek(0));
        EXPECT_EQ(error_of(sought), "seek " + path("fifo") + ": Illegal seek");
        co_await reader.close();
        // Nobody reads: the open waits, and can be given up.
        Task<File> waiting = create_task(open(path("fifo"), "w"));
        for (int i = 0; i < 3; ++i) co_await sleep(Duration::zero());
        EXPECT_FALSE(waiting.done());
        waiting.cancel();
        const auto given_up = co_await as_outcome(waiting);
        EXPECT_TRUE(given_up.cancelled());
        // A thread may still stand in that open: let it go.
        const int end = ::open(path("fifo").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        ::close(end);
    });
}

TEST_F(FileTest, takes_descriptors_over) {
    put("f", "abcdef");
    asyncio::run([&]() -> Coro<> {
        const int fd = ::open(path("f").c_str(), O_RDONLY | O_CLOEXEC);
        EXPECT_EQ(::lseek(fd, 2, SEEK_SET), 2);
        File file = File::from_fd(fd, "mine");
        EXPECT_EQ(file.fileno(), fd);
        const std::string rest = co_await file.read();
        EXPECT_EQ(rest, "cdef");
        EXPECT_THROW((void)File::from_fd(-1, "none"), std::system_error);
    });
}

TEST_F(FileTest, D17_a_file_beyond_four_gibibytes) {
    constexpr std::int64_t kFar = (std::int64_t{5} << 30) + 7;  // sparse: it takes a page
    run([&]() -> Coro<> {
        File file = co_await open(path("far"), "w+");
        co_await file.seek(kFar);
        co_await file.write("here");
        co_await file.flush();
        const std::int64_t end = co_await file.tell();
        EXPECT_EQ(end, kFar + 4);
        const std::string back = co_await file.pread(100, kFar);
        EXPECT_EQ(back, "here");
        co_await file.seek(kFar - 1);
        const std::string rest = co_await file.read(100);
        EXPECT_EQ(rest, std::string(1, '\0') + "here");
        co_await file.close();
    });
}

}  // namespace
}  // namespace asyncio
