// SPDX-License-Identifier: MIT
//
// A process that uses the library forks: what its child sees, and may do.
#include <asyncio/asyncio.hpp>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;

/// The exit status of `body` in a child, or -signal. Blocks.
template <class Body>
int in_child(Body&& body) {
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(20);  // deadline: it hangs
        int status = 99;
        try {
            status = body();
        } catch (const std::exception& unexpected) {
            std::fprintf(stderr, "the child: %s\n", unexpected.what());
        }
        std::fflush(nullptr);
        ::_exit(status);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/// Refused by whom the name leads to: so it was found, by a thread for lookups.
Coro<bool> looks_names_up() {
    const auto opened = co_await as_outcome(open_connection("localhost", 1));
    co_return !opened && describe(opened.error()).find("connect") != std::string::npos;
}

/// 0 if all goes well: lookups, files, threads and programs.
Coro<int> use_everything() {
    if (!co_await create_task(looks_names_up())) co_return 1;
    const std::string own = co_await fs::read_file("/proc/self/stat");
    if (!own.starts_with(std::to_string(::getpid()))) co_return 2;
    const auto entries = co_await fs::listdir("/proc/self/fd");
    if (entries.empty()) co_return 3;
    const int computed = co_await to_thread([] { return 42; });
    if (computed != 42) co_return 4;
    auto program = co_await create_subprocess_exec({.stdout_ = PIPE}, "echo", "hi");
    const auto said = co_await program.communicate();
    if (said.out != "hi\n") co_return 5;
    const auto too_late = co_await as_outcome(wait_for(sleep(1h), 1ms));
    co_return too_late ? 6 : 0;
}

TEST(Fork, FORK_01_a_child_sees_neither_running_loop_nor_current_task) {
    run([]() -> Coro<> {
        const int status = in_child([] {
            if (get_running_loop_or_null() != nullptr) return 1;
            try {
                (void)current_task();
                return 2;
            } catch (const std::logic_error&) {
                return 0;
            }
        });
        EXPECT_EQ(status, 0);
        EXPECT_NE(get_running_loop_or_null(), nullptr);
        co_await sleep(0s);
    });
}

TEST(Fork, FORK_02_a_child_may_run_a_loop_of_its_own_within_its_parents) {
    run([]() -> Coro<> {
        const int ours = co_await use_everything();
        EXPECT_EQ(ours, 0);
        EXPECT_EQ(in_child([] { return run(use_everything()); }), 0);
        const int again = co_await use_everything();
        EXPECT_EQ(again, 0);
    });
}

TEST(Fork, FORK_02_a_child_may_run_a_loop_after_its_parents) {
    EXPECT_EQ(run(use_everything()), 0);
    EXPECT_EQ(in_child([] { return run(use_everything()); }), 0);
}

/// What the library keeps for all loops is not left locked by a thread that the child does not
/// have.
TEST(Fork, FORK_02_a_child_may_run_a_loop_while_other_threads_use_theirs) {
    EventLoop loop;
    ThreadsafeHandle handle = loop.call_soon_threadsafe([] {});
    std::atomic<bool> ends = false;
    std::vector<std::thread> others;
    for (int i = 0; i < 2; ++i)
        others.emplace_back([&ends, handle]() mutable {
            while (!ends) handle.cancel();
        });
    int status = 0;
    for (int i = 0; i < 100 && status == 0; ++i)
        status = in_child([] { return run([]() -> Coro<int> { co_return 0; }); });
    ends = true;
    for (std::thread& other : others) other.join();
    EXPECT_EQ(status, 0);
    loop.close();
}

/// Not supported, but neither a hang nor a silent success.
TEST(Fork, a_child_that_goes_on_with_its_parents_coroutine_gets_an_error) {
    int status = -1;
    pid_t child = -1;
    try {
        run([&]() -> Coro<> {
            child = ::fork();
            if (child == 0) ::alarm(20);  // deadline: it hangs
            co_await sleep(1ms);
        });
        if (child == 0) ::_exit(1);
    } catch (const std::logic_error&) {
        if (child == 0) ::_exit(0);
        throw;
    }
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(Fork, FORK_03_a_signal_reaches_the_loop_of_the_process_it_was_sent_to) {
    run([]() -> Coro<> {
        int heard = 0;
        Event hears;
        get_running_loop().add_signal_handler(SIGUSR1, [&] {
            ++heard;
            hears.set();
        });
        const int status = in_child([&] {
            ::raise(SIGUSR1);  // to the handler of the parent, which is not here
            return run([&]() -> Coro<int> {
                int own = 0;
                Event arrived;
                get_running_loop().add_signal_handler(SIGUSR1, [&] {
                    ++own;
                    arrived.set();
                });
                ::raise(SIGUSR1);
                co_await arrived.wait();
                co_return heard == 0 && own == 1 ? 0 : 1;
            });
        });
        EXPECT_EQ(status, 0);
        co_await sleep(0s);
        co_await sleep(0s);
        EXPECT_EQ(heard, 0);
        ::raise(SIGUSR1);
        co_await hears.wait();
        EXPECT_EQ(heard, 1);
        get_running_loop().remove_signal_handler(SIGUSR1);
    });
}

}  // namespace
}  // namespace asyncio
