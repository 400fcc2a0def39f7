// SPDX-License-Identifier: MIT
//
// Process::communicate(): it feeds and collects, and whether it is cancelled or fails, nothing is
// lost and nothing is touched that has gone.
#include <asyncio/subprocess/process.hpp>
#include <asyncio/subprocess/subprocess_fixture_test.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/task/wait_for.hpp>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include <unistd.h>

namespace asyncio {
namespace {

using namespace subprocess_tests;

/// Something is there to be read, and stays.
Coro<> wait_until_output(Process& process) {
    const std::string_view seen = co_await process.stdout_().peek();
    EXPECT_FALSE(seen.empty());
}

/// Each after some more steps than the one before; the program runs on.
Coro<> cancel_communicates(Process& process) {
    for (int i = 0; i < 20; ++i) {
        Task<Communicated> asked = create_task(process.communicate());
        for (int steps = 0; steps < i; ++steps) co_await sleep(0s);
        asked.cancel();
        const auto cancelled = co_await as_outcome(asked);
        EXPECT_TRUE(cancelled.cancelled());
        EXPECT_FALSE(process.returncode());
    }
}

TEST_F(Subprocess, SUB_06_communicate_feeds_and_collects) {
    asyncio::run([]() -> Coro<> {
        const Communicated result = co_await shell("cat; echo problem >&2", "some input");
        EXPECT_EQ(result.out, "some input");
        EXPECT_EQ(result.err, "problem\n");
        Process quiet = co_await create_subprocess_exec("true");
        const Communicated none = co_await quiet.communicate();
        EXPECT_EQ(none.out + none.err, "");
        EXPECT_EQ(quiet.returncode(), 0);
    });
}

TEST_F(Subprocess, SUB_07_SUB_08_communicate_closes_stdin) {
    asyncio::run([]() -> Coro<> {
        const Communicated result = co_await shell("wc -c");
        EXPECT_EQ(std::atoi(result.out.c_str()), 0);
    });
}

TEST_F(Subprocess, SUB_09_a_program_that_does_not_read_is_no_error) {
    asyncio::run([]() -> Coro<> {
        const Communicated result =
            co_await shell("exec <&-; echo done", std::string(4 << 20, 'x'));
        EXPECT_EQ(result.out, "done\n");
    });
}

TEST_F(Subprocess, SUB_10_P4_much_data_both_ways) {
    asyncio::run([]() -> Coro<> {
        std::string text;
        for (int i = 0; text.size() < 8u << 20; ++i) text += std::to_string(i) + "\n";
        const Communicated result = co_await shell("tee /dev/stderr", text);
        EXPECT_EQ(result.out, text);
        EXPECT_EQ(result.err, text);
    });
}

TEST_F(Subprocess, SUB_11_a_cancelled_communicate_keeps_program_and_data) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_shell(
            {.stdin_ = PIPE, .stdout_ = PIPE},
            "trap 'echo late; exit 4' TERM; echo early; while :; do sleep 0.01; done");
        co_await cancel_communicates(process);
        co_await wait_until_output(process);
        process.terminate();
        const Communicated result = co_await process.communicate();
        EXPECT_EQ(result.out, "early\nlate\n");
        EXPECT_EQ(process.returncode(), 4);
    });
}

TEST_F(Subprocess, SUB_11_a_cancelled_communicate_keeps_what_came_by_a_stream_that_has_ended) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_shell(
            {.stdout_ = PIPE, .stderr_ = PIPE},
            "echo all; exec 1>&-; echo closed >&2; exec sleep 1000");
        const std::string closed = co_await process.stderr_().readline();
        EXPECT_EQ(closed, "closed\n");
        co_await cancel_communicates(process);
        process.kill();
        const Communicated result = co_await process.communicate();
        EXPECT_EQ(result.out, "all\n");
    });
}

/// Writes much to a `cat` by a communicate() that is refused, because `reader` reads already.
Coro<> refused_communicate(Process& cat, Task<std::string>& reader, std::string input) {
    reader = create_task(cat.stdout_().readexactly(input.size()));
    co_await sleep(0s);
    const auto refused = co_await as_outcome(cat.communicate(std::move(input)));
    EXPECT_FALSE(refused);
    EXPECT_NE(describe(refused.error()).find("already waiting"), std::string::npos);
}

std::string much_input() {
    std::string text;
    for (int i = 0; text.size() < 1u << 20; ++i) text += std::to_string(i) + ",";
    return text;
}

TEST_F(Subprocess, a_communicate_that_fails_does_not_take_its_input_along) {
    asyncio::run([]() -> Coro<> {
        Process cat = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
        Task<std::string> reader;
        co_await refused_communicate(cat, reader, much_input());
        const std::string copied = co_await reader;
        EXPECT_TRUE(copied == much_input());
        co_await cat.wait();
    });
}

TEST_F(Subprocess, what_feeds_a_program_may_outlive_its_process) {
    asyncio::run([]() -> Coro<> {
        auto cat = std::make_unique<Process>(
            co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat"));
        Task<std::string> reader;
        co_await refused_communicate(*cat, reader, much_input());
        cat.reset();
        const std::string in_its_place(sizeof(Process) - 1, '\xff');
        const auto read = co_await as_outcome(reader);
        EXPECT_FALSE(read);
        while (all_tasks().size() > 1) co_await sleep(0s);
        while (!no_children()) co_await sleep(0s);
    });
}

TEST_F(Subprocess, SUB_11_a_cancelled_communicate_keeps_all_when_only_the_program_goes_on) {
    asyncio::run([]() -> Coro<> {
        const std::string flag = "/tmp/asyncio-closed-" + std::to_string(::getpid());
        Process process = co_await create_subprocess_shell(
            {.stdout_ = PIPE, .stderr_ = PIPE},
            "echo out; echo err >&2; exec 1>&- 2>&-; : >" + flag + "; exec sleep 1000");
        while (!std::filesystem::exists(flag)) co_await sleep(0s);
        std::filesystem::remove(flag);
        co_await cancel_communicates(process);
        process.kill();
        const Communicated result = co_await process.communicate();
        EXPECT_EQ(result.out, "out\n");
        EXPECT_EQ(result.err, "err\n");
    });
}

TEST_F(Subprocess, SUB_11_after_a_communicate_that_was_cancelled_comes_the_next_ones_input) {
    asyncio::run([]() -> Coro<> {
        Process cat = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
        const std::string much(4u << 20, 'x');  // more than goes out in so few turns
        for (int i = 0; i < 8; ++i) {
            Task<Communicated> asked = create_task(cat.communicate(much));
            for (int steps = 0; steps < i; ++steps) co_await sleep(0s);
            asked.cancel();
            const auto cancelled = co_await as_outcome(asked);
            EXPECT_TRUE(cancelled.cancelled());
        }
        const Communicated result = co_await cat.communicate("end");
        EXPECT_TRUE(result.out.ends_with("xend"));
        EXPECT_EQ(cat.returncode(), 0);
    });
}

TEST_F(Subprocess, communicate_with_a_terminal) {
    asyncio::run([]() -> Coro<> {
        Process cat = co_await create_subprocess_exec({.stdin_ = PTY, .stdout_ = PTY}, "cat");
        const Communicated result = co_await wait_for(cat.communicate("hello\n"), 20s);
        EXPECT_EQ(result.out, "hello\r\nhello\r\n");  // the terminal's echo, and the program's
        EXPECT_EQ(cat.returncode(), 0);
    });
}

}  // namespace
}  // namespace asyncio
