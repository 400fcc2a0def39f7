// SPDX-License-Identifier: MIT
//
// Children that are killed, dropped and cancelled at random moments, 32 at once; and many bytes
// through one of them.
//
// ASYNCIO_TEST_SCALE  factor for their number; 1 is ten thousand children, and 1 GiB. Default 0.02.
//
// Each storm has a process of its own, in which a system call filter ends the program if it sends a
// signal to a number: signals go through pidfds only, so none can reach a stranger.
#include <asyncio/subprocess/process.hpp>
#include <asyncio/subprocess/subprocess_fixture_test.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/testing/error_log.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

using subprocess_tests::no_children;
using subprocess_tests::open_descriptors;

constexpr int kAtOnce = 32;
constexpr int kNotPermitted = 77;  // exit status

double scale() {
    const char* text = std::getenv("ASYNCIO_TEST_SCALE");
    return text != nullptr ? std::atof(text) : 0.02;
}

/// From here on kill() and its relatives end this process.
bool forbid_signals_by_number() {
    std::vector<sock_filter> program = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const long call : {SYS_kill, SYS_tkill, SYS_rt_sigqueueinfo}) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

int children_in_all() {
    return std::max(1, static_cast<int>(10'000 * scale()) / kAtOnce) * kAtOnce;
}

void record_figure() {
    ::testing::Test::RecordProperty(
        "figure", std::to_string(children_in_all()) + " children, " + std::to_string(kAtOnce) +
                      " at once, 0 zombies, 0 descriptors, 0 signals by number (limit 0)");
}

using Random = std::minstd_rand;

Coro<> some_moment(Random& random) {
    const auto delay = std::chrono::microseconds(random() % 3000);
    co_await sleep(delay);  // deadline: children are killed at moments of real time
}

/// Whoever was killed ended with that, or had ended by himself, or somebody else took his status.
void expect_end(int returncode) {
    EXPECT_TRUE(returncode == -SIGKILL || returncode == -SIGPIPE || returncode == 0 ||
                returncode == 255)
        << returncode;
}

Coro<> kill_and_wait(Process process, Random& random) {
    co_await some_moment(random);
    if (!process.returncode()) process.kill();
    const int code = co_await process.wait();
    expect_end(code);
}

Coro<> a_silent_one(Random& random) {
    Process process = co_await create_subprocess_exec("sleep", "60");
    co_await kill_and_wait(std::move(process), random);
}

Coro<> one_that_writes_without_end(Random& random) {
    Process process = co_await create_subprocess_exec({.stdout_ = PIPE}, "yes");
    const std::string line = co_await process.stdout_().readline();
    EXPECT_EQ(line, "y\n");
    co_await kill_and_wait(std::move(process), random);
}

Coro<> a_cancelled_communicate(Random& random) {
    Process process = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
    auto talk = [&process]() -> Coro<> { co_await process.communicate(std::string(300'000, 'x')); };
    Task<> talking = create_task(talk);
    co_await some_moment(random);
    talking.cancel();
    const auto end = co_await as_outcome(talking);
    EXPECT_TRUE(end || end.cancelled());
    co_await kill_and_wait(std::move(process), random);
}

Coro<> one_that_is_killed_and_dropped(Random& random) {
    const Process process = co_await create_subprocess_exec({.stdout_ = PIPE}, "sleep", "60");
    co_await some_moment(random);
    process.kill();
}

Coro<> one_that_ends_by_itself(Random& random) {
    Process process = co_await create_subprocess_exec("true");
    co_await kill_and_wait(std::move(process), random);
}

Coro<> a_cancelled_start(Random& random) {
    auto start = [&random]() -> Coro<> {
        const Process process = co_await create_subprocess_exec({.stdin_ = PIPE}, "cat");
        co_await some_moment(random);
        co_await process.wait();  // its input ends with it
    };
    Task<> starting = create_task(start);
    if (random() % 2 == 0) co_await sleep(Duration::zero());
    starting.cancel();
    const auto end = co_await as_outcome(starting);
    EXPECT_TRUE(end || end.cancelled());
}

Coro<> storm(int count, Random& random) {
    using Act = Coro<> (*)(Random&);
    static constexpr std::array<Act, 6> kActs = {a_silent_one,
                                                 one_that_writes_without_end,
                                                 a_cancelled_communicate,
                                                 one_that_is_killed_and_dropped,
                                                 one_that_ends_by_itself,
                                                 a_cancelled_start};
    while (count-- > 0) co_await kActs[random() % kActs.size()](random);
}

/// The exit status of a program that raises a storm.
int raise_storm() {
    const testing::LogLines quiet;  // of SIGCHLD being ignored
    Random random(42);
    const int each = children_in_all() / kAtOnce;
    const int descriptors = open_descriptors();
    if (!forbid_signals_by_number()) return kNotPermitted;
    asyncio::run([&]() -> Coro<> {
        std::vector<Coro<>> storms;
        for (int i = 0; i < kAtOnce; ++i) storms.push_back(storm(each, random));
        co_await gather(std::move(storms));
    });
    EXPECT_TRUE(no_children());
    EXPECT_EQ(open_descriptors(), descriptors);
    return ::testing::Test::HasFailure() ? 1 : 0;
}

/// The exit status of `body` in a process of its own.
int in_child(const std::function<int()>& body) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        const int status = body();
        std::fflush(nullptr);
        ::_exit(status);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(ChildStorm, leaves_no_zombie_and_no_descriptor_and_hits_no_stranger) {
    const int status = in_child(raise_storm);
    if (status == kNotPermitted) GTEST_SKIP() << "system call filters are not permitted";
    record_figure();
    EXPECT_EQ(status, 0);
}

TEST(ChildStorm, P3_also_with_SIGCHLD_ignored) {
    const int status = in_child([] {
        ::signal(SIGCHLD, SIG_IGN);
        return raise_storm();
    });
    if (status == kNotPermitted) GTEST_SKIP() << "system call filters are not permitted";
    record_figure();
    EXPECT_EQ(status, 0);
}

TEST(ChildStorm, also_as_process_1) {
    const int status = in_child([] {
        if (::unshare(CLONE_NEWPID) != 0) return kNotPermitted;
        return in_child([] { return ::getpid() == 1 ? raise_storm() : 1; });
    });
    if (status == kNotPermitted) GTEST_SKIP() << "process namespaces are not permitted";
    record_figure();
    EXPECT_EQ(status, 0);
}

// --- many bytes --------------------------------------------------------------------------------

std::size_t resident_bytes() {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

constexpr std::size_t kPiece = 65521;           // a prime: it meets every boundary
constexpr std::size_t kMostGrowth = 32u << 20;  // bytes; AddressSanitizer keeps what was freed

Coro<> pour_in(StreamWriter& writer, std::size_t size, const std::string& pattern) {
    for (std::size_t done = 0; done < size; done += kPiece) {
        writer.write(std::string_view(pattern).substr(0, std::min(kPiece, size - done)));
        co_await writer.drain();
    }
    writer.close();
}

/// The bytes that came, as long as they are the pattern's.
Coro<std::size_t> read_out(StreamReader& reader, const std::string& pattern, std::size_t& most) {
    std::array<std::byte, 50'000> buffer;
    std::size_t total = 0;
    for (;;) {
        const std::size_t count = co_await reader.read_into(buffer);
        const std::string_view got(reinterpret_cast<const char*>(buffer.data()), count);
        for (std::size_t at = 0; at < count;) {
            const std::string_view expected =
                std::string_view(pattern).substr((total + at) % kPiece, count - at);
            if (got.substr(at, expected.size()) != expected) co_return 0;
            at += expected.size();
        }
        if (count == 0) co_return total;
        total += count;
        most = std::max(most, resident_bytes());
    }
}

TEST(ChildStorm, P4_a_gibibyte_through_cat_and_back_in_flat_memory) {
    const auto size = static_cast<std::size_t>(scale() * (1u << 30));
    std::string pattern(kPiece, '\0');
    Random random(7);
    for (char& c : pattern) c = static_cast<char>(random() >> 8);
    std::size_t most = 0;
    std::size_t before = 0;
    std::size_t got = 0;
    asyncio::run([&]() -> Coro<> {
        Process cat = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
        before = resident_bytes();
        auto [poured, read] = co_await gather(pour_in(cat.stdin_(), size, pattern),
                                              read_out(cat.stdout_(), pattern, most));
        (void)poured;
        got = read;
        const int code = co_await cat.wait();
        EXPECT_EQ(code, 0);
    });
    RecordProperty("figure", std::to_string(got) + " bytes there and back, memory grew by " +
                                 std::to_string((most - std::min(before, most)) >> 10) +
                                 " KiB (limit " + std::to_string(kMostGrowth >> 10) + ")");
    EXPECT_EQ(got, size);
    EXPECT_LT(most, before + kMostGrowth);
}

}  // namespace
}  // namespace asyncio
