// SPDX-License-Identifier: MIT
//
// When the system refuses: full disks, read-only ones, files that are none, interrupted calls. The
// error is the system's, it names the call and the path, and nothing that was acknowledged is lost.
#include <asyncio/file/call.hpp>
#include <asyncio/file/directory.hpp>
#include <asyncio/file/file.hpp>
#include <asyncio/file/file_fixture_test.hpp>
#include <asyncio/file/fs.hpp>
#include <asyncio/file/whole_file.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/wait.hpp>
#include <asyncio/testing/descriptors.hpp>
#include <asyncio/thread/thread_pool_executor.hpp>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

/// Descriptors that were closed and not open: somebody closed them twice.
std::atomic<int> closed_twice = 0;

}  // namespace

// ThreadSanitizer has a close() of its own.
#if defined(__SANITIZE_THREAD__)
#define ASYNCIO_TEST_COUNTS_CLOSES 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ASYNCIO_TEST_COUNTS_CLOSES 0
#endif
#endif
#ifndef ASYNCIO_TEST_COUNTS_CLOSES
/// The system's, which counts.
extern "C" int close(int fd) {
    const long result = ::syscall(SYS_close, fd);
    if (result < 0 && errno == EBADF) ++closed_twice;
    return static_cast<int>(result);
}
#endif

namespace asyncio {
namespace {

using FailureTest = FolderTest;

constexpr int kNotPermitted = 77;         // exit status
constexpr std::size_t kDisk = 64u << 10;  // bytes

/// The exit status of `body` in a process of its own.
template <class Body>
int in_child(Body&& body) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        int status = 1;
        try {  // what left here would go on with the parent's tests
            status = body();
        } catch (const std::exception& unexpected) {
            ADD_FAILURE() << unexpected.what();
        }
        std::fflush(nullptr);
        ::_exit(status != 0 ? status : ::testing::Test::HasFailure() ? 1 : 0);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Run `body` where a disk of kDisk bytes, of our own, is mounted on `folder`.
template <class Body>
int with_small_disk(const std::string& folder, Body&& body) {
    return in_child([&] {
        if (::unshare(CLONE_NEWNS) != 0 ||
            ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            ::mount("none", folder.c_str(), "tmpfs", 0, "size=64k") != 0)
            return kNotPermitted;
        body();
        return 0;
    });
}

#define EXPECT_DONE(status)                                            \
    do {                                                               \
        const int status_ = (status);                                  \
        if (status_ == kNotPermitted) GTEST_SKIP() << "only root may"; \
        EXPECT_EQ(status_, 0);                                         \
    } while (false)

TEST_F(FailureTest, D18_a_full_disk_keeps_what_was_flushed_and_the_buffer_waits_for_room) {
    EXPECT_DONE(with_small_disk(folder, [&] {
        asyncio::run([&]() -> Coro<> {
            put("other", std::string(kDisk / 2, 'o'));
            const std::string first(20'000, '1');
            const std::string second(20'000, '2');
            File file = co_await open(path("log"), "w");
            co_await file.write(first);
            co_await file.flush();
            co_await file.write(second);
            const auto full = co_await as_outcome(file.flush());
            EXPECT_EQ(error_of(full), "write " + path("log") + ": No space left on device");
            EXPECT_TRUE(get("log").starts_with(first));
            const auto still_full = co_await as_outcome(file.fsync());
            EXPECT_EQ(errno_of(still_full), ENOSPC);
            co_await fs::remove(path("other"));
            co_await file.flush();
            co_await file.close();
            EXPECT_EQ(get("log"), first + second);
        });
    }));
}

TEST_F(FailureTest, D18_a_full_disk_shows_when_closing_which_closes_all_the_same) {
    EXPECT_DONE(with_small_disk(folder, [&] {
        asyncio::run([&]() -> Coro<> {
            const std::string text(2 * kDisk, 'x');
            File file = co_await open(path("a"), "w", {.buffering = 4 * kDisk});
            co_await file.write(text);
            const auto closed = co_await as_outcome(file.close());
            EXPECT_EQ(errno_of(closed), ENOSPC);
            EXPECT_TRUE(file.closed());
            const auto whole = co_await as_outcome(fs::write_file(path("b"), text));
            EXPECT_EQ(errno_of(whole), ENOSPC);
        });
    }));
}

TEST_F(FailureTest, D18_a_full_disk_leaves_what_was_to_be_replaced) {
    EXPECT_DONE(with_small_disk(folder, [&] {
        asyncio::run([&]() -> Coro<> {
            put("config", "old");
            const std::string text(2 * kDisk, 'x');
            const auto replaced = co_await as_outcome(fs::write_atomic(path("config"), text));
            EXPECT_EQ(errno_of(replaced), ENOSPC);
            EXPECT_EQ(get("config"), "old");
            const std::vector<std::string> names = co_await fs::listdir(folder);
            EXPECT_EQ(names, std::vector<std::string>{"config"});
            put("large", std::string(40'000, 'l'));
            const auto copied = co_await as_outcome(fs::copy(path("large"), path("copy")));
            EXPECT_EQ(errno_of(copied), ENOSPC);
        });
    }));
}

TEST_F(FailureTest, a_read_only_disk_refuses_every_change) {
    EXPECT_DONE(with_small_disk(folder, [&] {
        put("f", "text");
        if (::mount("none", folder.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
            ::_exit(kNotPermitted);
        asyncio::run([&]() -> Coro<> {
            const auto opened = co_await as_outcome(open(path("f"), "a"));
            EXPECT_EQ(error_of(opened), "open " + path("f") + ": Read-only file system");
            const auto removed = co_await as_outcome(fs::remove(path("f")));
            EXPECT_EQ(errno_of(removed), EROFS);
            const auto made = co_await as_outcome(fs::mkdir(path("d")));
            EXPECT_EQ(errno_of(made), EROFS);
            const auto replaced = co_await as_outcome(fs::write_atomic(path("f"), "new"));
            EXPECT_EQ(errno_of(replaced), EROFS);
            const auto removed_tree = co_await as_outcome(fs::rmtree(folder));
            EXPECT_EQ(errno_of(removed_tree), EROFS);
            const std::string text = co_await fs::read_file(path("f"));
            EXPECT_EQ(text, "text");
        });
    }));
}

TEST_F(FailureTest, D18_dev_full) {
    asyncio::run([&]() -> Coro<> {
        File full = co_await open("/dev/full", "w");
        co_await full.write("x");
        const auto flushed = co_await as_outcome(full.flush());
        EXPECT_EQ(error_of(flushed), "write /dev/full: No space left on device");
        const auto closed = co_await as_outcome(full.close());
        EXPECT_EQ(errno_of(closed), ENOSPC);
        EXPECT_TRUE(full.closed());
    });
}

TEST_F(FailureTest, a_file_beyond_its_limit_keeps_what_fits) {
    EXPECT_EQ(in_child([&] {
                  ::signal(SIGXFSZ, SIG_IGN);
                  const rlimit limit = {kDisk, kDisk};
                  ::setrlimit(RLIMIT_FSIZE, &limit);
                  asyncio::run([&]() -> Coro<> {
                      File file = co_await open(path("f"), "w", {.buffering = 0});
                      const std::string text(kDisk + 1000, 'x');
                      const auto written = co_await as_outcome(file.write(text));
                      EXPECT_EQ(errno_of(written), EFBIG);
                      co_await file.close();
                      EXPECT_EQ(get("f").size(), kDisk);
                  });
                  return 0;
              }),
              0);
}

TEST_F(FailureTest, what_is_missing_or_a_directory_says_so) {
    asyncio::run([&]() -> Coro<> {
        const auto missing = co_await as_outcome(open(path("none")));
        EXPECT_EQ(error_of(missing), "open " + path("none") + ": No such file or directory");
        const auto below = co_await as_outcome(open(path("none/f"), "w"));
        EXPECT_EQ(errno_of(below), ENOENT);
        for (const char* mode : {"r", "w", "a", "r+"}) {
            const auto directory = co_await as_outcome(open(folder, mode));
            EXPECT_EQ(error_of(directory), "open " + folder + ": Is a directory") << mode;
        }
        const auto read = co_await as_outcome(fs::read_file(folder));
        EXPECT_EQ(errno_of(read), EISDIR);
        const auto replaced = co_await as_outcome(fs::write_atomic(folder, "x"));
        EXPECT_EQ(errno_of(replaced), EISDIR);
        const auto copied = co_await as_outcome(fs::copy(folder, path("copy")));
        EXPECT_EQ(errno_of(copied), EISDIR);
        const auto removed = co_await as_outcome(fs::remove(folder));
        EXPECT_EQ(errno_of(removed), EISDIR);
        put("f", "");
        const auto listed = co_await as_outcome(fs::listdir(path("f")));
        EXPECT_EQ(errno_of(listed), ENOTDIR);
        const auto through = co_await as_outcome(open(path("f/g")));
        EXPECT_EQ(errno_of(through), ENOTDIR);
    });
}

std::atomic<int> alarms = 0;

TEST_F(FailureTest, C4_calls_that_signals_interrupt_are_made_again) {
    EXPECT_EQ(in_child([&] {
                  struct sigaction action = {};  // without SA_RESTART
                  action.sa_handler = [](int) { ++alarms; };
                  ::sigaction(SIGALRM, &action, nullptr);
                  const itimerval often = {{0, 200}, {0, 200}};  // microseconds
                  ::setitimer(ITIMER_REAL, &often, nullptr);
                  asyncio::run([&]() -> Coro<> {
                      auto use_file = [&](std::string name, std::string text) -> Coro<> {
                          for (int i = 0; i < 20 || alarms < 100; ++i) {
                              co_await fs::write_atomic(path(name), text, {.sync = false});
                              const std::string read = co_await fs::read_file(path(name));
                              EXPECT_EQ(read, text);
                              co_await fs::copy(path(name), path(name + ".copy"));
                              const auto names = co_await fs::listdir(folder);
                              EXPECT_GE(names.size(), 2u);
                          }
                      };
                      co_await gather(use_file("a", std::string(200'000, 'a')),
                                      use_file("b", std::string(10, 'b')));
                  });
                  return 0;
              }),
              0);
}

/// Both ends blocking, as a program has them from a shell.
void make_pipe(File (&ends)[2]) {
    int fds[2] = {};
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    for (int i = 0; i < 2; i++) ends[i] = File::from_fd(fds[i], "a pipe");
}

TEST(FileFailure, B12_who_finds_a_blocking_pipe_empty_again_waits_on) {
    asyncio::run([]() -> Coro<> {
        File ends[2];
        make_pipe(ends);
        File other = File::from_fd(::dup(ends[0].fileno()), "the same pipe");
        // Both are told that it can be read; the first takes all.
        auto first = create_task(ends[0].read(1));
        auto second = create_task(other.read(1));
        co_await sleep(std::chrono::milliseconds(0));
        EXPECT_EQ(::write(ends[1].fileno(), "1", 1), 1);
        const std::vector<Task<std::string>> both = {first, second};
        const auto [done, pending] = co_await wait(both, {.return_when = FIRST_COMPLETED});
        EXPECT_EQ(done.size(), 1u);
        EXPECT_EQ(pending.size(), 1u);
        EXPECT_EQ(::write(ends[1].fileno(), "2", 1), 1);
        auto [a, b] = co_await gather(first, second);
        EXPECT_TRUE((a == "1" && b == "2") || (a == "2" && b == "1")) << a << b;
    });
}

TEST(FileFailure, B12_who_finds_a_blocking_pipe_full_again_waits_on) {
    asyncio::run([]() -> Coro<> {
        File ends[2];
        make_pipe(ends);
        File other = File::from_fd(::dup(ends[1].fileno()), "the same pipe");
        const std::string page(4096, 'x');
        for (int i = 1; i < 16; i++) EXPECT_EQ(::write(other.fileno(), page.data(), 4096), 4096);
        auto flush = [&page](File& file) -> Coro<> {
            co_await file.write(page);
            co_await file.flush();
        };
        auto first = create_task(flush(ends[1]));
        auto second = create_task(flush(other));
        const std::vector<Task<>> both = {first, second};
        const auto [done, pending] = co_await wait(both, {.return_when = FIRST_COMPLETED});
        EXPECT_EQ(done.size(), 1u);
        EXPECT_EQ(pending.size(), 1u);
        char room[4096];
        EXPECT_EQ(::read(ends[0].fileno(), room, sizeof room), 4096);
        co_await gather(first, second);
    });
}

TEST(FileFailure, C5_a_pipe_that_nobody_reads_is_an_error_and_no_signal) {
    run([]() -> Coro<> {
        int ends[2];
        EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        File file = File::from_fd(ends[1], "a pipe");
        ::close(ends[0]);
        co_await file.write("for nobody");  // SIGPIPE has its default disposition here
        const auto end = co_await as_outcome(file.close());
        EXPECT_EQ(describe(end.error()), "std::system_error: write a pipe: Broken pipe");
    });
}

/// Open, then close a file, and close the loop after `turns` turns of it.
void overtaken(const std::string& path, int turns) {
    EventLoop loop;
    loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});  // it tells the task
    const auto work = [&path]() -> Coro<> {
        File file = co_await open(path);
        co_await file.close();
    };
    const Task<> task = loop.create_task(work);
    const auto some_turns = [turns]() -> Coro<> {
        for (int i = 0; i < turns; ++i) co_await sleep(std::chrono::seconds(0));
    };
    loop.run_until_complete(some_turns());
    loop.close();
}

TEST_F(FailureTest, A1_a_close_that_the_end_of_its_loop_overtakes_is_made) {
    put("file", "x");
    overtaken(path("file"), 20);  // what a first time makes
    const testing::OpenDescriptors before;
    for (int round = 0; round < 50; ++round)
        for (int turns = 0; turns < 12; ++turns) overtaken(path("file"), turns);
    EXPECT_EQ(testing::OpenDescriptors::since(before), std::vector<std::string>{});
    EXPECT_EQ(closed_twice, 0);
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_F(FailureTest, A1_a_close_that_a_forked_child_asks_its_parents_loop_for_is_made) {
    run([&]() -> Coro<> {
        File file = co_await open(path("file"), "w");
        const int fd = file.fileno();
        std::fflush(nullptr);
        const pid_t child = ::fork();
        if (child == 0) {
            const auto closed = co_await as_outcome(file.close());
            ::_exit(!closed && file.closed() && !is_open(fd) && closed_twice == 0 ? 0 : 1);
        }
        int status = -1;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
        co_await file.close();
    });
}

TEST_F(FailureTest, A1_a_close_that_gets_no_thread_is_made_once) {
    put("file", "x");
    const auto close_without_threads = [this]() -> Coro<int> {
        const int fd = ::open(path("file").c_str(), O_RDONLY | O_CLOEXEC);
        File file = File::from_fd(fd, "a file");
        const rlimit none = {0, 0};
        ::setrlimit(RLIMIT_NPROC, &none);
        if (::setresuid(65534, 65534, 65534) != 0) co_return kNotPermitted;
        (void)co_await as_outcome(file.close());  // the ring does it
        co_return file.closed() && !is_open(fd) && closed_twice == 0 ? 0 : 1;
    };
    EXPECT_DONE(in_child([&] { return run(close_without_threads()); }));
}

/// The system's own attempts to have a thread for a call on a file fail, too, where io_uring is
/// used.
TEST_F(FailureTest, A16_calls_that_the_system_has_no_thread_for_are_made_by_ours) {
    ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
    const auto use_files = [this]() -> Coro<int> {
        (void)file::threads().submit([] {}).result();  // one is there
        const rlimit none = {0, 0};
        ::setrlimit(RLIMIT_NPROC, &none);
        if (::setresuid(65534, 65534, 65534) != 0) co_return kNotPermitted;
        {
            File file = co_await open(path("f"), "w");
            co_await file.write("text");
            co_await file.fsync();
            co_await file.close();
        }
        co_await fs::rename(path("f"), path("g"));
        const std::string text = co_await fs::read_file(path("g"));
        co_return text == "text" ? 0 : 1;
    };
    EXPECT_DONE(in_child([&] { return run(use_files()); }));
}

TEST_F(FailureTest, A16_a_call_that_no_thread_can_be_had_for_says_so) {
    ASSERT_EQ(::chmod(folder.c_str(), 0777), 0);
    const auto use_file = [this]() -> Coro<int> {
        const rlimit none = {0, 0};
        ::setrlimit(RLIMIT_NPROC, &none);
        if (::setresuid(65534, 65534, 65534) != 0) co_return kNotPermitted;
        const auto opened = co_await as_outcome(open(path("f"), "w"));
        co_return errno_of(opened) == EAGAIN ? 0 : 1;
    };
    EXPECT_DONE(in_child([&] { return run(use_file()); }));
}

TEST_F(FailureTest, L2_rights_that_were_given_up_are_not_used) {
    put("secret", "x");
    ASSERT_EQ(::chmod(path("secret").c_str(), 0600), 0);
    ASSERT_EQ(::chmod(folder.c_str(), 0755), 0);
    const auto give_up_and_open = [this]() -> Coro<int> {
        (void)co_await fs::exists(folder);  // the ring, or the thread, is at work
        if (::setresuid(65534, 65534, 65534) != 0) co_return kNotPermitted;
        const auto opened = co_await as_outcome(open(path("secret")));
        co_return errno_of(opened) == EACCES ? 0 : 1;
    };
    const int status = in_child([&] { return run(give_up_and_open()); });
    if (status == kNotPermitted) GTEST_SKIP() << "only root can give rights up";
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace asyncio
