// SPDX-License-Identifier: MIT
//
// Small files read with the loop's poll: cancelled at every turn, changed while they are read, and
// what is no file at all.
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/small_file.hpp>
#include <asyncio/file/whole_file.hpp>
#include <asyncio/kernel/ring_files_test.hpp>
#include <asyncio/kernel/small_file.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/testing/descriptors.hpp>

#include <cerrno>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace asyncio {
namespace {

class SmallFileTest : public FolderTest {
  protected:
    static std::string text_of(std::size_t size) {
        std::string text;
        for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(i * 2654435761u >> 13);
        return text;
    }
    /// So many that what did not fit before is forgotten, all at once: the next is told from them
    /// that it is not alone, if it comes in the next iteration that has any.
    Coro<> read_in_company() const {
        put("company", "text");
        std::vector<Coro<std::string>> readers;
        for (int i = 0; i < 40; ++i) readers.push_back(fs::read_file(path("company")));
        const auto texts = co_await gather(std::move(readers));
        for (const std::string& text : texts) EXPECT_EQ(text, "text");
    }
    Coro<std::string> read_as_small_file(std::string name) const {
        co_await read_in_company();
        std::string text = co_await fs::read_file(name);
        co_return text;
    }
};

/// How many of `most` in one iteration are refused before one is not.
int refused(file::SmallFileReaders& readers, int most) {
    int count = 0;
    while (count < most && !readers.join()) ++count;
    return count;
}

TEST(SmallFileReaders, who_asks_alone_as_the_last_time_is_refused) {
    asyncio::run([]() -> Coro<> {
        auto& readers = get_running_loop().service<file::SmallFileReaders>();
        EXPECT_FALSE(readers.join());
        EXPECT_TRUE(readers.join());
        co_await sleep(Duration::zero());
        co_await sleep(Duration::zero());
        EXPECT_TRUE(readers.join());
        co_await sleep(Duration::zero());
        EXPECT_FALSE(readers.join());
    });
}

TEST(SmallFileReaders, after_one_in_vain_there_is_a_pause_which_grows_up_to_a_limit) {
    asyncio::run([]() -> Coro<> {
        auto& readers = get_running_loop().service<file::SmallFileReaders>();
        (void)readers.join();
        EXPECT_EQ(refused(readers, 100'000), 0);
        int last = 0;
        for (int pause = 32; pause <= 8192; pause *= 2) {
            readers.read(false);
            last = refused(readers, 100'000);
            EXPECT_EQ(last, pause);
        }
        readers.read(false);
        EXPECT_EQ(refused(readers, 100'000), last);
        readers.read(true);
        readers.read(false);
        EXPECT_EQ(refused(readers, 100'000), 32);
        co_return;
    });
}

TEST_F(SmallFileTest, every_size_around_pages_and_the_largest) {
    asyncio::run([&]() -> Coro<> {
        for (const std::size_t middle : {std::size_t{1}, std::size_t{4096}, std::size_t{8192},
                                         kernel::SmallFile::largest, std::size_t{65536}}) {
            for (const std::size_t size : {middle - 1, middle, middle + 1}) {
                put("f", text_of(size));
                const std::string alone = co_await fs::read_file(path("f"));
                EXPECT_TRUE(alone == text_of(size)) << size;
                const std::string text = co_await read_as_small_file(path("f"));
                EXPECT_TRUE(text == text_of(size)) << size;
            }
        }
    });
}

TEST_F(SmallFileTest, more_readers_than_are_served_at_once) {
    for (int i = 0; i < 300; ++i) put(std::to_string(i), text_of(static_cast<std::size_t>(i) + 1));
    asyncio::run([&]() -> Coro<> {
        std::vector<Coro<std::string>> readers;
        for (int i = 0; i < 300; ++i) readers.push_back(fs::read_file(path(std::to_string(i))));
        const auto texts = co_await gather(std::move(readers));
        for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_TRUE(texts[i] == text_of(i + 1)) << i;
    });
}

TEST_F(SmallFileTest, a_file_that_grows_is_read_up_to_some_end) {
    put("f", "");
    asyncio::run([&]() -> Coro<> {
        std::string written;
        for (int i = 0; i < 200; ++i) {
            co_await read_in_company();
            Task<std::string> reading = create_task(fs::read_file(path("f")));
            for (int turns = i % 3; turns > 0; --turns) co_await sleep(Duration::zero());
            const std::size_t before = written.size();
            const std::string more = text_of(static_cast<std::size_t>(i % 7) * 50);
            std::ofstream(path("f"), std::ios::binary | std::ios::app) << more;
            written += more;
            const std::string text = co_await reading;
            EXPECT_TRUE(written.starts_with(text));
            EXPECT_GE(text.size(), before);
        }
    });
}

TEST_F(SmallFileTest, errors_name_call_and_path) {
    put("file", "x");
    ASSERT_EQ(::mkdir(path("directory").c_str(), 0700), 0);
    ASSERT_EQ(::symlink("loop", path("loop").c_str()), 0);
    asyncio::run([&]() -> Coro<> {
        auto outcome = co_await as_outcome(read_as_small_file(path("missing")));
        EXPECT_EQ(error_of(outcome), "open " + path("missing") + ": No such file or directory");
        outcome = co_await as_outcome(read_as_small_file(path("directory")));
        EXPECT_EQ(error_of(outcome), "open " + path("directory") + ": Is a directory");
        outcome = co_await as_outcome(read_as_small_file(path("file/below")));
        EXPECT_EQ(error_of(outcome), "open " + path("file/below") + ": Not a directory");
        outcome = co_await as_outcome(read_as_small_file(path("loop")));
        EXPECT_EQ(errno_of(outcome), ELOOP);
        outcome = co_await as_outcome(read_as_small_file(path(std::string(300, 'n'))));
        EXPECT_EQ(errno_of(outcome), ENAMETOOLONG);
        if (::geteuid() == 0) co_return;  // may open everything
        ::chmod(path("file").c_str(), 0);
        outcome = co_await as_outcome(read_as_small_file(path("file")));
        EXPECT_EQ(error_of(outcome), "open " + path("file") + ": Permission denied");
    });
}

TEST_F(SmallFileTest, without_descriptors_it_says_so) {
    put("empty", "");
    put("large", text_of(kernel::SmallFile::largest + 1));
    asyncio::run([&]() -> Coro<> {
        (void)co_await read_as_small_file(path("large"));  // what the loop needs is open
        co_await read_in_company();
        rlimit before = {};
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
        rlimit none = before;
        none.rlim_cur = 0;
        ::setrlimit(RLIMIT_NOFILE, &none);
        Task<std::string> empty_reader = create_task(fs::read_file(path("empty")));
        Task<std::string> large_reader = create_task(fs::read_file(path("large")));
        const auto empty = co_await as_outcome(empty_reader);
        const auto large = co_await as_outcome(large_reader);
        ::setrlimit(RLIMIT_NOFILE, &before);
        EXPECT_EQ(error_of(empty), "open " + path("empty") + ": Too many open files");
        EXPECT_EQ(error_of(large), "open " + path("large") + ": Too many open files");
    });
}

TEST_F(SmallFileTest, a_fifo_is_read_from_its_first_byte_to_its_last_writer) {
    const std::string fifo = path("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    asyncio::run([&]() -> Coro<> {
        os::Fd writer(::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
        EXPECT_EQ(::write(writer.get(), "first ", 6), 6);
        co_await read_in_company();
        Task<std::string> reading = create_task(fs::read_file(fifo));
        for (int i = 0; i < 5; ++i) co_await sleep(Duration::zero());
        EXPECT_EQ(::write(writer.get(), "last", 4), 4);
        writer.reset();
        const std::string text = co_await reading;
        EXPECT_EQ(text, "first last");
    });
}

TEST_F(SmallFileTest, a_fifo_nobody_writes_to_yet_is_waited_for_and_its_writer_never_alone) {
    const std::string fifo = path("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    asyncio::run([&]() -> Coro<> {
        co_await read_in_company();
        Task<std::string> reading = create_task(fs::read_file(fifo));
        os::Fd writer;
        for (int i = 0; i < 1000 && !writer; ++i) {
            co_await sleep(Duration::zero());
            writer.reset(::open(fifo.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
        }
        EXPECT_TRUE(writer);  // from the moment on that it is open for reading
        for (int i = 0; i < 10; ++i) {
            EXPECT_EQ(::write(writer.get(), "x", 1), 1);  // no SIGPIPE
            co_await sleep(Duration::zero());
        }
        writer.reset();
        const std::string text = co_await reading;
        EXPECT_EQ(text, "xxxxxxxxxx");
    });
}

TEST_F(SmallFileTest, what_is_no_file_at_all) {
    asyncio::run([&]() -> Coro<> {
        const std::string null = co_await read_as_small_file("/dev/null");
        EXPECT_EQ(null, "");
        const std::string status = co_await read_as_small_file("/proc/self/status");
        EXPECT_TRUE(status.starts_with("Name:"));
        const std::string maps = co_await read_as_small_file("/proc/self/maps");
        EXPECT_TRUE(maps.ends_with("\n"));
        const std::string limit = co_await read_as_small_file("/proc/sys/fs/pipe-max-size");
        EXPECT_TRUE(limit.ends_with("\n"));
    });
}

TEST_F(SmallFileTest, A1_A2_readers_cancelled_at_every_turn_leave_nothing_open) {
    put("small", "text");
    put("large", text_of(kernel::SmallFile::largest + 1));
    asyncio::run([&]() -> Coro<> {
        (void)co_await fs::read_file(path("large"));
        const testing::OpenDescriptors before;
        int read = 0;
        int cancelled = 0;
        for (int i = 0; i < 240; ++i) {
            const std::string name = path(i % 2 == 0 ? "small" : "large");
            co_await read_in_company();
            auto task = create_task(fs::read_file(name));
            for (int turns = i / 2 % 6; turns > 0; --turns) co_await sleep(Duration::zero());
            task.cancel();
            const auto outcome = co_await as_outcome(std::move(task));
            if (outcome)
                ++read;
            else
                ++cancelled;
            EXPECT_TRUE(outcome || outcome.cancelled());
        }
        EXPECT_GE(read, 20);
        EXPECT_GE(cancelled, 20);
        co_await sleep(Duration::zero());
        EXPECT_EQ(kernel::testing::files_of_rings(), 0);
        EXPECT_EQ(testing::OpenDescriptors::since(before), std::vector<std::string>{});
    });
}

TEST_F(SmallFileTest, A11_readers_that_die_with_their_loop_leave_nothing_open) {
    put("small", "text");
    put("large", text_of(kernel::SmallFile::largest + 1));
    const testing::OpenDescriptors before;
    for (int turns = 0; turns < 4; ++turns) {
        EventLoop loop;
        loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});  // tells the tasks
        std::vector<Task<std::string>> readers;
        int left = turns;
        auto turn = [&](auto& self) -> void {
            if (left-- == 0)
                loop.stop();
            else
                loop.call_soon([&] { self(self); });
        };
        loop.call_soon([&] {
            readers.push_back(create_task(fs::read_file(path("small"))));
            readers.push_back(create_task(fs::read_file(path("large"))));
            turn(turn);
        });
        loop.run_forever();
        loop.close();
    }
    EXPECT_EQ(testing::OpenDescriptors::since(before), std::vector<std::string>{});
}

}  // namespace
}  // namespace asyncio
