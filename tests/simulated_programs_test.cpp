// SPDX-License-Identifier: MIT
//
// Programs that start programs, in simulated worlds (testing/child_program.hpp):
//
//   supervisor  keeps four workers running however they end: killed at random moments, stopped,
//               failing; at its own end none is left, and each job was done
//   one         program after the other: pipes, arguments, environment, exit status, signals
//
// ASYNCIO_TEST_SCALE=100 makes ten thousand worlds of each.
#include <asyncio/asyncio.hpp>
#include <asyncio/testing/simulation.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace asyncio {
namespace {

using namespace std::chrono_literals;
using testing::ChildProgram;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::simulate;
using testing::simulate_seeds;
using testing::Simulation;
using testing::SimulationFailed;

constexpr std::uint64_t kWorlds = 100;

// --- programs ------------------------------------------------------------------------------------

Coro<int> upper(ChildProgram& self) {
    auto lines = self.stdin_().lines();
    while (auto line = co_await lines.next()) {
        std::string text(*line);
        std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::toupper(c); });
        self.stdout_().write(text);
        co_await self.stdout_().drain();
    }
    co_return 0;
}

Coro<int> say(ChildProgram& self) {
    for (std::size_t i = 1; i < self.arguments().size(); ++i)
        self.stdout_().write(self.arguments()[i] + "\n");
    self.stderr_().write("said " + self.environment("WHAT").value_or("it") + "\n");
    co_return static_cast<int>(self.arguments().size()) - 1;
}

Coro<int> wait_for_ever(ChildProgram&) {
    co_await sleep(24h);
    co_return 0;
}

/// Ends with 7 when it is asked to.
Coro<int> tidy(ChildProgram& self) {
    self.stdout_().write("ready\n");
    int code = 0;
    try {
        co_await sleep(24h);
    } catch (const CancelledError&) {
        code = 7;
    }
    self.stdout_().write("tidied\n");
    co_return code;
}

void add_programs(testing::SimulatedHost& host) {
    host.on_program("upper", upper);
    host.on_program("say", say);
    host.on_program("wait", wait_for_ever);
    host.on_program("tidy", tidy);
}

/// A program alone on a host that has the ones above, to its end.
template <class F>
auto alone(F program) {
    return [program](Simulation& sim) -> Coro<> {
        auto& host = sim.host("host", program);
        add_programs(host);
        co_await host.finished();
    };
}

// --- one at a time -------------------------------------------------------------------------------

Coro<> talk_to_programs() {
    Process proc = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "upper");
    std::string input;
    for (int i = 0; i < 1000; ++i) input += "line " + std::to_string(i) + "\n";
    auto [out, err] = co_await proc.communicate(input);
    EXPECT_EQ(out.size(), input.size());
    EXPECT_TRUE(out.starts_with("LINE 0\nLINE 1\n"));
    EXPECT_EQ(proc.returncode(), 0);

    const std::vector<std::string> environment{"WHAT=all"};
    SubprocessOptions options{.stdout_ = PIPE, .stderr_ = PIPE};
    options.env = environment;
    Process said = co_await create_subprocess_exec(options, "/usr/bin/say", "a", "b c");
    const Communicated heard = co_await said.communicate();
    EXPECT_EQ(heard.out, "a\nb c\n");
    EXPECT_EQ(heard.err, "said all\n");
    EXPECT_EQ(said.returncode(), 2);

    Process both = co_await create_subprocess_exec({.stdout_ = PIPE, .stderr_ = STDOUT}, "say");
    EXPECT_EQ((co_await both.communicate()).out, "said it\n");

    Process quiet = co_await create_subprocess_exec({.stdout_ = DEVNULL}, "say", "x");
    EXPECT_EQ(co_await quiet.wait(), 1);
}

TEST(SimulatedPrograms, run_with_pipes_arguments_and_environment) {
    simulate_seeds(kWorlds, alone(talk_to_programs));
}

Coro<> use_the_shell() {
    Process proc =
        co_await create_subprocess_shell({.stdout_ = PIPE}, "exec say 'two words' \"x\" y");
    EXPECT_EQ((co_await proc.communicate()).out, "two words\nx\ny\n");
    EXPECT_EQ(proc.returncode(), 3);
    Process unknown = co_await create_subprocess_shell("nosuch -x");
    EXPECT_EQ(co_await unknown.wait(), 127);
    try {
        co_await create_subprocess_exec("nosuch");
        ADD_FAILURE() << "nobody has that name";
    } catch (const std::system_error& error) {
        EXPECT_STREQ(error.what(), "run nosuch: No such file or directory");
    }
}

TEST(SimulatedPrograms, are_found_by_their_name_or_not_at_all) {
    simulate_seeds(kWorlds, alone(use_the_shell));
}

Coro<> send_signals() {
    Process waiting = co_await create_subprocess_exec("wait");
    waiting.terminate();
    EXPECT_EQ(co_await waiting.wait(), -SIGTERM);

    Process killed = co_await create_subprocess_exec({.stdout_ = PIPE}, "tidy");
    killed.kill();
    EXPECT_EQ(co_await killed.wait(), -SIGKILL);
    EXPECT_THROW(killed.kill(), std::system_error);

    Process tidied = co_await create_subprocess_exec({.stdout_ = PIPE}, "tidy");
    EXPECT_EQ(co_await tidied.stdout_().readline(), "ready\n");
    tidied.terminate();
    EXPECT_EQ((co_await tidied.communicate()).out, "tidied\n");
    EXPECT_EQ(tidied.returncode(), 7);

    Process stopped = co_await create_subprocess_exec("say");
    stopped.send_signal(SIGSTOP);
    EXPECT_THROW(co_await wait_for(stopped.wait(), 1min), TimeoutError);
    stopped.send_signal(SIGCONT);
    EXPECT_EQ(co_await stopped.wait(), 0);
}

TEST(SimulatedPrograms, have_signals) { simulate_seeds(kWorlds, alone(send_signals)); }

Coro<> ask_for_a_terminal() {
    try {
        co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PTY}, "upper");
        ADD_FAILURE() << "it has a terminal";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EOPNOTSUPP);
        EXPECT_THAT(error.what(), HasSubstr("a terminal for upper: a simulated host has pipes "
                                            "only, no PTY"));
    }
}

TEST(SimulatedPrograms, have_no_terminals_and_say_so) {
    simulate_seeds(1, alone(ask_for_a_terminal));
}

Coro<int> succeed(ChildProgram& self) {
    auto answer = [](StreamReader&, StreamWriter& writer) -> Coro<> {
        writer.write("from the successor");
        co_return;
    };
    ServerOptions options;
    options.sock = self.inherited(std::stoi(self.arguments().at(1)));
    Server server = co_await start_server(answer, options);
    co_await server.serve_forever();
    co_return 0;
}

Coro<> hand_over_a_listener() {
    auto refuse = [](StreamReader&, StreamWriter&) -> Coro<> {
        ADD_FAILURE() << "it has retired";
        co_return;
    };
    Server server = co_await start_server(refuse, "127.0.0.1", 7777);
    const int listener[] = {server.sockets()[0].fileno()};
    SubprocessOptions options;
    options.pass_fds = listener;
    Process successor =
        co_await create_subprocess_exec(options, "successor", std::to_string(listener[0]));
    server.close();
    co_await server.wait_closed();
    auto [reader, writer] = co_await open_connection("127.0.0.1", 7777);
    EXPECT_EQ(co_await reader.read(), "from the successor");
    writer.close();
    co_await writer.wait_closed();
    successor.terminate();
    EXPECT_EQ(co_await successor.wait(), -SIGTERM);
}

TEST(SimulatedPrograms, inherit_descriptors) {
    static constexpr testing::NetworkFaults kGood{};
    simulate(1,
             [](Simulation& sim) -> Coro<> {
                 auto& host = sim.host("host", hand_over_a_listener);
                 host.on_program("successor", succeed);
                 co_await host.finished();
             },
             {.faults = &kGood});
}

TEST(SimulatedPrograms, end_with_their_host_and_their_parent) {
    simulate(1, [](Simulation& sim) -> Coro<> {
        auto& host = sim.host("host", []() -> Coro<> {
            Process left = co_await create_subprocess_exec({.stdout_ = PIPE}, "tidy");
            co_await left.stdout_().readline();
            co_await sleep(1s);
        });
        add_programs(host);
        co_await sleep(500ms);
        EXPECT_EQ(host.send_signal("tidy", 0), 1);
        host.crash();
        co_await sleep(1ms);
        EXPECT_EQ(host.send_signal("tidy", 0), 0);
        host.restart();
        co_await host.finished();
        EXPECT_EQ(host.send_signal("tidy", 0), 0) << "killed with the loop that had started it";
    });
}

Coro<int> start_and_wait_for(const char* program) {
    Process proc = co_await create_subprocess_exec(program);
    const int code = co_await proc.wait();
    co_return code;
}

ASYNCIO_CORO_WRAPPER Coro<int> parent(ChildProgram&) { return start_and_wait_for("wait"); }
ASYNCIO_CORO_WRAPPER Coro<int> grandparent(ChildProgram&) { return start_and_wait_for("parent"); }

TEST(SimulatedPrograms, of_three_generations_can_be_killed_at_once) {
    simulate_seeds(kWorlds, [](Simulation& sim) -> Coro<> {
        auto& host = sim.host("host", []() -> Coro<> {
            const int code = co_await start_and_wait_for("grandparent");
            EXPECT_EQ(code, -SIGKILL);
        });
        add_programs(host);
        host.on_program("parent", parent);
        host.on_program("grandparent", grandparent);
        co_await sleep(1s);
        for (const char* name : {"grandparent", "parent", "wait"}) {
            EXPECT_EQ(host.send_signal(name, SIGKILL), 1) << name;
        }
        co_await host.finished();
        EXPECT_EQ(host.send_signal("wait", 0), 0);
    });
}

TEST(SimulatedPrograms, fail_the_world_by_an_exception) {
    try {
        simulate(1, [](Simulation& sim) -> Coro<> {
            auto& host = sim.host("host", []() -> Coro<> {
                Process proc = co_await create_subprocess_exec("broken");
                co_await proc.wait();
            });
            host.on_program("broken", [](ChildProgram&) -> Coro<int> {
                co_await sleep(1s);
                throw std::runtime_error("a bug");
            });
            co_await host.finished();
        });
        ADD_FAILURE() << "it was not seen";
    } catch (const SimulationFailed& failed) {
        EXPECT_THAT(failed.what(), HasSubstr("host/broken 101 threw std::runtime_error: a bug"));
    }
}

// --- supervisor ----------------------------------------------------------------------------------

constexpr int kJobs = 12;

/// Reads numbers, works on each for a while, and says when it is done. Fails now and then.
Coro<int> work(ChildProgram& self, Simulation& sim) {
    auto lines = self.stdin_().lines();
    while (auto line = co_await lines.next()) {
        co_await sleep(sim.random().between(1ms, 300ms));
        if (sim.random().chance(0.1)) co_return 3;
        self.stdout_().write("done " + std::string(*line));
        co_await self.stdout_().drain();
    }
    co_return 0;
}

/// One worker after the other, each for as many jobs as it lives.
Coro<> supervise(Queue<int>& jobs, std::multiset<int>& done, int& starts) {
    for (;;) {
        ++starts;
        Process proc = co_await create_subprocess_exec({.stdin_ = PIPE, .stdout_ = PIPE}, "work");
        for (;;) {
            const int job = co_await jobs.get();
            std::string answer;
            try {
                proc.stdin_().write(std::to_string(job) + "\n");
                answer = co_await proc.stdout_().readline();
            } catch (const std::system_error&) {  // it is gone
            }
            if (answer != "done " + std::to_string(job) + "\n") {
                co_await jobs.put(job);  // for somebody else
                jobs.task_done();
                break;
            }
            done.insert(job);
            jobs.task_done();
        }
        if (!proc.returncode()) proc.kill();
        EXPECT_NE(co_await proc.wait(), 0);
    }
}

Coro<> run_supervisor(std::multiset<int>& done, int& starts) {
    Queue<int> jobs;
    for (int job = 0; job < kJobs; ++job) jobs.put_nowait(job);
    std::vector<Task<>> supervisors;
    for (int i = 0; i < 4; ++i) supervisors.push_back(create_task(supervise(jobs, done, starts)));
    co_await jobs.join();
    for (const Task<>& supervisor : supervisors) supervisor.cancel();
    co_await wait(supervisors);
}

TEST(SimulatedPrograms, a_supervisor_gets_its_work_done_whoever_is_killed) {
    int starts = 0;
    const std::uint64_t worlds = testing::seeds_to_try(kWorlds).size();
    const auto sum = simulate_seeds(kWorlds, [&](Simulation& sim) -> Coro<> {
        std::multiset<int> done;
        auto& host = sim.host("host", [&]() -> Coro<> { co_await run_supervisor(done, starts); });
        host.on_program("work", [&sim](ChildProgram& self) -> Coro<int> {
            co_return co_await work(self, sim);
        });
        while (host.running()) {
            co_await sleep(sim.random().between(1ms, 400ms));
            host.send_signal("work", sim.random().chance(0.5) ? SIGKILL : SIGTERM);
        }
        EXPECT_EQ(done.size(), static_cast<std::size_t>(kJobs)) << "each job once";
        EXPECT_EQ(host.send_signal("work", 0), 0);
    });
    EXPECT_GE(starts, 4 * static_cast<int>(worlds));
    const std::string figure = std::to_string(worlds) + " seeds, " + std::to_string(sum.events) +
                               " events, " + std::to_string(starts) + " workers";
    std::printf("supervisor: %s\n", figure.c_str());
    RecordProperty("figure", figure);
}

}  // namespace
}  // namespace asyncio
