// SPDX-License-Identifier: MIT
#include <asyncio/subprocess/process.hpp>
#include <asyncio/subprocess/subprocess_fixture_test.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/gather.hpp>
#include <asyncio/task/run.hpp>
#include <asyncio/task/sleep.hpp>
#include <asyncio/task/wait_for.hpp>

#include <array>
#include <csignal>
#include <cstdlib>
#include <system_error>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace asyncio {
namespace {

using namespace subprocess_tests;

TEST_F(Subprocess, SUB_01_exec_runs_a_program_shell_a_command_line) {
    asyncio::run([]() -> Coro<> {
        Process echo = co_await create_subprocess_exec({.stdout_ = PIPE}, "echo", "a  b", "$HOME");
        const Communicated written = co_await echo.communicate();
        EXPECT_EQ(written.out, "a  b $HOME\n");
        const Communicated counted = co_await shell("echo a  b | wc -w");
        EXPECT_EQ(std::atoi(counted.out.c_str()), 2);
    });
}

TEST_F(Subprocess, SUB_02_a_missing_program_is_an_error_that_names_it) {
    asyncio::run([]() -> Coro<> {
        auto missing =
            co_await as_outcome(create_subprocess_exec({.stdout_ = PIPE}, "no-such-program"));
        EXPECT_FALSE(missing);
        try {
            missing.value();
        } catch (const std::system_error& e) {
            EXPECT_EQ(e.code(), std::errc::no_such_file_or_directory);
            EXPECT_EQ(std::string(e.what()), "run no-such-program: No such file or directory");
        }
        auto nowhere = co_await as_outcome(create_subprocess_exec({.cwd = "/no/such"}, "true"));
        EXPECT_FALSE(nowhere);
        EXPECT_EQ(describe(nowhere.error()).find("No such file") == std::string::npos, false);
    });
}

TEST_F(Subprocess, SUB_03_the_return_code) {
    asyncio::run([]() -> Coro<> {
        Process seven = co_await create_subprocess_shell("exit 7");
        EXPECT_FALSE(seven.returncode());
        const int status = co_await seven.wait();
        EXPECT_EQ(status, 7);
        EXPECT_EQ(seven.returncode(), 7);
        Process killed = co_await create_subprocess_exec("sleep", "100");
        killed.kill();
        const int signal = co_await killed.wait();
        EXPECT_EQ(signal, -SIGKILL);
    });
}

TEST_F(Subprocess, SUB_04_many_may_wait) {
    asyncio::run([]() -> Coro<> {
        Process process =
            co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = DEVNULL}, "cat");
        std::vector<Task<int>> waits;
        for (int i = 0; i < 5; ++i) waits.push_back(create_task(process.wait()));
        co_await sleep(0s);
        process.stdin_().close();
        for (Task<int>& wait : waits) {
            const int status = co_await wait;
            EXPECT_EQ(status, 0);
        }
        const int again = co_await process.wait();
        EXPECT_EQ(again, 0);
    });
}

TEST_F(Subprocess, SUB_05_cancelling_wait_leaves_it_running) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_exec("sleep", "100");
        auto late = co_await as_outcome(wait_for(process.wait(), 1ms));
        EXPECT_FALSE(late);
        EXPECT_FALSE(process.returncode());
        process.terminate();
        const int status = co_await process.wait();
        EXPECT_EQ(status, -SIGTERM);
    });
}

TEST_F(Subprocess, SUB_12_writing_to_a_program_that_has_ended) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_exec({.stdin_ = PIPE}, "true");
        co_await process.wait();
        Outcome<void> written;
        for (int i = 0; i < 1000 && written; ++i) {
            process.stdin_().write(std::string(100000, 'x'));
            written = co_await as_outcome(process.stdin_().drain());
        }
        EXPECT_FALSE(written);
        const std::string error = describe(written.error());
        EXPECT_TRUE(error.find("Broken pipe") != std::string::npos ||
                    error.find("Connection") != std::string::npos)
            << error;
        process.stdin_().close();
    });
}

TEST_F(Subprocess, SUB_13_output_can_be_read_after_the_end) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_exec({.stdout_ = PIPE}, "echo", "still here");
        co_await process.wait();
        const std::string line = co_await process.stdout_().readline();
        EXPECT_EQ(line, "still here\n");
        const std::string rest = co_await process.stdout_().read();
        EXPECT_EQ(rest, "");
    });
}

TEST_F(Subprocess, SUB_14_streams_lead_where_they_should) {
    asyncio::run([]() -> Coro<> {
        Process merged = co_await create_subprocess_shell({.stdout_ = PIPE, .stderr_ = STDOUT},
                                                          "echo one; echo two >&2");
        const Communicated both = co_await merged.communicate();
        EXPECT_EQ(both.out, "one\ntwo\n");
        const int file = ::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        Process into_file = co_await create_subprocess_exec(
            {.stdin_ = DEVNULL, .stdout_ = file, .stderr_ = DEVNULL}, "echo", "to a file");
        co_await into_file.wait();
        char text[32] = {};
        EXPECT_EQ(::pread(file, text, sizeof text, 0), 10);
        EXPECT_STREQ(text, "to a file\n");
        ::close(file);
        Process null = co_await create_subprocess_exec({.stdin_ = DEVNULL, .stdout_ = PIPE}, "cat");
        const Communicated nothing = co_await null.communicate();
        EXPECT_EQ(nothing.out, "");
    });
}

TEST_F(Subprocess, SUB_15_a_program_that_writes_too_much_is_held_back) {
    asyncio::run([]() -> Coro<> {
        Process yes = co_await create_subprocess_exec({.stdout_ = PIPE, .limit = 1000}, "yes");
        const std::string line = co_await yes.stdout_().readline();
        EXPECT_EQ(line, "y\n");
        std::size_t total = 0;
        while (total < 3u << 20) {
            const std::string data = co_await yes.stdout_().read(1 << 20);
            total += data.size();
        }
        yes.kill();
        co_await yes.wait();
    });
}

TEST_F(Subprocess, SUB_16_no_pipe_of_ours_is_inherited) {
    asyncio::run([]() -> Coro<> {
        Process first = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
        Process second = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
        // If the second had the first one's stdin, this would never end.
        first.stdin_().close();
        const int status = co_await first.wait();
        EXPECT_EQ(status, 0);
        second.stdin_().close();
        co_await second.wait();
    });
}

TEST_F(Subprocess, SUB_17_SUB_18_signals) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_shell(
            {.stdout_ = PIPE},
            "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.01; done");
        const std::string ready = co_await process.stdout_().readline();
        EXPECT_EQ(ready, "ready\n");
        process.send_signal(SIGUSR1);
        const Communicated result = co_await process.communicate();
        EXPECT_EQ(result.out, "caught\n");
        EXPECT_EQ(process.returncode(), 3);
        EXPECT_THROW(process.kill(), std::system_error);
        for (int i = 0; i < 50; ++i) {  // at the moment of the end
            Process quick = co_await create_subprocess_exec("true");
            while (!quick.returncode()) {
                EXPECT_NO_THROW(quick.send_signal(SIGCONT));
                co_await sleep(0s);
            }
            EXPECT_EQ(quick.returncode(), 0);
        }
    });
}

TEST_F(Subprocess, SUB_19_P5_a_grandchild_does_not_delay_wait) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_shell({.stdin_ = PIPE, .stdout_ = PIPE},
                                                           "cat <&0 & echo $!; exit 5");
        const int status = co_await process.wait();
        EXPECT_EQ(status, 5);
        // The grandchild ends with its input, and then the output does.
        process.stdin_().close();
        const std::string rest = co_await process.stdout_().read();
        EXPECT_GT(std::atoi(rest.c_str()), 0);
    });
}

TEST_F(Subprocess, SUB_21_stdin_can_be_waited_for) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "cat");
        process.stdin_().write("x");
        process.stdin_().close();
        co_await process.stdin_().wait_closed();
        const Communicated result = co_await process.communicate();
        EXPECT_EQ(result.out, "x");
    });
}

TEST_F(Subprocess, SUB_23_surroundings) {
    asyncio::run([]() -> Coro<> {
        const std::vector<std::string> environment{"GREETING=hello", "PATH=/usr/bin:/bin"};
        const int extra = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        const std::array passed{extra};
        const std::string command = "echo $GREETING; pwd; umask; ls /proc/self/fd | grep -c '^" +
                                    std::to_string(extra) + "$'";
        const SubprocessOptions options{.stdout_ = PIPE,
                                        .cwd = "/usr",
                                        .env = environment,
                                        .pass_fds = passed,
                                        .start_new_session = true,
                                        .umask = 077};
        Process process = co_await create_subprocess_shell(options, command);
        const Communicated result = co_await process.communicate();
        EXPECT_EQ(result.out, "hello\n/usr\n0077\n1\n");
        ::close(extra);
    });
}

TEST_F(Subprocess, SUB_24_P2_whatever_is_dropped_leaves_no_zombie) {
    asyncio::run([]() -> Coro<> {
        for (int i = 0; i < 30; ++i) {
            Task<> task = create_task([]() -> Coro<> {
                Process process = co_await create_subprocess_exec({.stdin_ = PIPE}, "cat");
                co_await process.wait();
            });
            for (int steps = 0; steps < i % 4; ++steps) co_await sleep(0s);
            task.cancel();
            const auto outcome = co_await as_outcome(task);
            EXPECT_TRUE(outcome.cancelled());
        }
        // Dropped with their pipes they end, and the loop reaps them.
        const TimePoint deadline = get_running_loop().time() + 20s;
        while (!no_children() && get_running_loop().time() < deadline) co_await sleep(1ms);
        EXPECT_TRUE(no_children());
    });
}

TEST_F(Subprocess, SUB_29_exit_is_seen_with_SIGCHLD_blocked_or_ignored) {
    struct sigaction ignore = {};
    ignore.sa_handler = SIG_IGN;
    struct sigaction before = {};
    ::sigaction(SIGCHLD, &ignore, &before);
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_shell("exit 3");
        const int status = co_await wait_for(process.wait(), 20s);
        EXPECT_EQ(status, 255);  // the system threw the status away
    });
    ::sigaction(SIGCHLD, &before, nullptr);
}

TEST_F(Subprocess, SUB_30_a_status_taken_by_somebody_else) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_shell("exit 3");
        int status = 0;
        EXPECT_EQ(::waitpid(process.pid(), &status, 0), process.pid());
        const int code = co_await process.wait();
        EXPECT_EQ(code, 255);
    });
}

TEST_F(Subprocess, SUB_31_a_loop_that_closes_kills_what_runs) {
    std::optional<Process> kept;
    {
        EventLoop loop;
        loop.run_until_complete([&]() -> Coro<> {
            kept = co_await create_subprocess_exec({.stdout_ = PIPE}, "sleep", "100");
        });
        loop.close();
    }
    EXPECT_EQ(kept->returncode(), -SIGKILL);
    kept.reset();
}

TEST_F(Subprocess, SUB_32_ten_at_once) {
    asyncio::run([]() -> Coro<> {
        std::vector<Coro<Communicated>> all;
        for (int i = 0; i < 10; ++i) all.push_back(shell("sleep 0.01; echo " + std::to_string(i)));
        const std::vector<Communicated> results = co_await gather(std::move(all));
        for (std::size_t i = 0; i < 10; ++i) EXPECT_EQ(results[i].out, std::to_string(i) + "\n");
    });
}

TEST_F(Subprocess, a_terminal) {
    asyncio::run([]() -> Coro<> {
        Process process = co_await create_subprocess_shell(
            {.stdin_ = PTY,
             .stdout_ = PTY,
             .stderr_ = PTY,
             .terminal = {.rows = 30, .columns = 99}},
            "test -t 0 && test -t 1 && test -t 2 && stty size; read line; echo \"got $line\"");
        const std::string size = co_await process.stdout_().readline();
        EXPECT_EQ(size, "30 99\r\n");
        process.stdin_().write("hi\n");
        const std::string echoed = co_await process.stdout_().readline();
        EXPECT_EQ(echoed, "hi\r\n");
        const std::string answer = co_await process.stdout_().readline();
        EXPECT_EQ(answer, "got hi\r\n");
        const int status = co_await process.wait();
        EXPECT_EQ(status, 0);
    });
}

TEST_F(Subprocess, a_program_that_had_ended_keeps_its_status_when_the_loop_closes) {
    std::optional<Process> kept;
    {
        EventLoop loop;
        loop.run_until_complete([&]() -> Coro<> {
            kept = co_await create_subprocess_shell("exit 6");
            siginfo_t info = {};  // without the loop knowing
            EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(kept->pid()), &info, WEXITED | WNOWAIT), 0);
        });
        loop.close();
    }
    EXPECT_EQ(kept->returncode(), 6);
}

TEST_F(Subprocess, bad_options_are_refused) {
    EXPECT_THROW((void)create_subprocess_exec({.stdin_ = STDOUT}, "true"), std::invalid_argument);
    EXPECT_THROW((void)create_subprocess_exec({.stdout_ = 987654}, "true"), std::invalid_argument);
    EXPECT_THROW((void)create_subprocess_exec({}, ""), std::invalid_argument);
    EXPECT_THROW((void)create_subprocess_exec({}, "echo", std::string("a\0b", 3)),
                 std::invalid_argument);
    const std::vector<std::string> environment{"no equals sign"};
    EXPECT_THROW((void)create_subprocess_exec({.env = environment}, "true"), std::invalid_argument);
}

}  // namespace
}  // namespace asyncio
