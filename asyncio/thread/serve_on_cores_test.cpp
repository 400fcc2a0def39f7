// SPDX-License-Identifier: MIT
//
// serve_on_cores: joint start, joint end. (With sockets: the example 45_all_cores.)
#include <asyncio/os/cpu.hpp>
#include <asyncio/thread/serve_on_cores.hpp>
#include <asyncio/thread/thread_fixture_test.hpp>

#include <atomic>
#include <csignal>
#include <set>
#include <stdexcept>

#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace thread_tests;

Coro<> forever() { co_await sleep(std::chrono::hours(24)); }

/// Counts those that began, and those that were cancelled.
struct Mains {
    Coro<> main() {
        ++begun;
        try {
            co_await forever();
        } catch (const CancelledError&) {
            ++cancelled;
            throw;
        }
    }
    std::atomic<int> begun{0};
    std::atomic<int> cancelled{0};
};

TEST(ServeOnCores, each_main_has_a_loop_and_a_thread_of_its_own) {
    std::mutex mutex;
    std::set<EventLoop*> loops;
    std::set<std::thread::id> threads;
    std::set<int> numbers;
    std::atomic<int> together{0};
    Gate all;
    serve_on_cores(3, [&](int number) -> Coro<> {
        {
            const std::lock_guard lock(mutex);
            loops.insert(&get_running_loop());
            threads.insert(std::this_thread::get_id());
            numbers.insert(number);
        }
        if (++together == 3) all.open();
        all.pass();  // they run at the same time
        co_await sleep(0s);
    });
    EXPECT_EQ(loops.size(), 3u);
    EXPECT_EQ(threads.size(), 3u);
    EXPECT_EQ(numbers, (std::set<int>{0, 1, 2}));
}

TEST(ServeOnCores, zero_means_every_core_that_may_be_used) {
    std::atomic<int> mains{0};
    serve_on_cores(0, [&]() -> Coro<> {
        ++mains;
        co_return;
    });
    EXPECT_EQ(mains, os::usable_cores());
    EXPECT_THROW(serve_on_cores(-1, forever), std::invalid_argument);
}

TEST(ServeOnCores, threads_can_be_pinned) {
    std::atomic<int> narrow{0};
    const auto main = [&]() -> Coro<> {
        if (os::usable_cores() == 1) ++narrow;
        co_return;
    };
    serve_on_cores(2, main, {.pin = true});
    EXPECT_EQ(narrow, 2);
}

TEST(ServeOnCores, the_first_error_cancels_the_others_and_is_rethrown) {
    Mains others;
    const auto main = [&](int number) -> Coro<> {
        if (number != 1) {
            co_await others.main();
            co_return;
        }
        const auto all_begun = [&] { return others.begun == 3; };
        const bool begun = co_await until(all_begun);
        throw std::runtime_error(begun ? "the first" : "too late");
    };
    EXPECT_EQ(error_from([&] {
                  serve_on_cores(4, main);
                  return 0;
              }),
              "std::runtime_error: the first");
    EXPECT_EQ(others.begun, 3);
    EXPECT_EQ(others.cancelled, 3);
}

TEST(ServeOnCores, an_error_at_once_races_with_the_start_of_the_others) {
    for (int round = 0; round < 50; ++round) {
        Mains others;
        const auto main = [&](int number) -> Coro<> {
            if (number == round % 4) throw std::runtime_error("at once");
            co_await others.main();
        };
        EXPECT_THROW(serve_on_cores(4, main), std::runtime_error);
        EXPECT_EQ(others.begun, others.cancelled);
    }
}

ASYNCIO_CORO_WRAPPER Coro<> no_main_for_the_first(int number) {
    if (number == 0) throw std::runtime_error("no main");
    return forever();
}

TEST(ServeOnCores, a_factory_that_throws_is_an_error_of_its_main) {
    EXPECT_THROW(serve_on_cores(2, no_main_for_the_first), std::runtime_error);
}

TEST(ServeOnCores, one_that_returns_leaves_the_others_alone) {
    std::atomic<int> turns{0};
    serve_on_cores(2, [&](int number) -> Coro<> {
        for (int i = 0; number == 1 && i < 1000; ++i) {
            ++turns;
            co_await sleep(0s);
        }
    });
    EXPECT_EQ(turns, 1000);
}

TEST(ServeOnCores, a_main_that_cancels_itself_is_an_error) {
    const auto main = [](int number) -> Coro<> {
        if (number == 0) current_task().cancel();
        co_await forever();
    };
    EXPECT_THROW(serve_on_cores(2, main), CancelledError);
}

TEST(ServeOnCores, not_inside_of_a_running_loop) {
    asyncio::run([]() -> Coro<> {
        EXPECT_THROW(serve_on_cores(1, forever), std::logic_error);
        co_return;
    });
}

/// What becomes of a child whose mains all run when `signal` comes: 0 returned, 1
/// KeyboardInterrupt.
int child_that_receives(int signal) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(signal, SIG_DFL);
        ::alarm(20);
        Mains mains;
        int code = 9;
        try {
            serve_on_cores(3, [&](int number) -> Coro<> {
                if (number == 0) {
                    const auto all_begun = [&] { return mains.begun == 2; };
                    co_await until(all_begun);
                    ::kill(::getpid(), signal);
                }
                co_await mains.main();
            });
            code = 0;
        } catch (const KeyboardInterrupt&) {
            code = 1;
        } catch (...) {
            code = 2;
        }
        ::_exit(mains.begun == mains.cancelled ? code : 8);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(ServeOnCores, SIGTERM_ends_it_and_SIGINT_is_a_KeyboardInterrupt) {
    EXPECT_EQ(child_that_receives(SIGTERM), 0);
    EXPECT_EQ(child_that_receives(SIGINT), 1);
}

}  // namespace
}  // namespace asyncio
