// SPDX-License-Identifier: MIT
//
// ProgramTable: the programs of a simulated host: those that it could run (a name and a coroutine),
// and those that run.
//
//     spawned --next command--> runs --its coroutine is done--> ended --reap()--> gone
//                                '--SIGKILL--> ended; its loop goes after the turn --^
//
// A program that is killed has ended at once, as its parent sees it, and runs no more; its frames
// are destroyed between two turns, and its descriptors closed with them.
//
// "/bin/sh -c COMMAND" (create_subprocess_shell) is one program with its arguments, in quotes where
// needed, an `exec` before it; of a name that nobody has, the shell ends with 127. A host may have
// an "sh" of its own.
//
// Threads: of the simulation.
#pragma once

#include <asyncio/os/simulated.hpp>
#include <asyncio/os/spawn.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/testing/child_program.hpp>
#include <asyncio/testing/simulated_process.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace asyncio::testing {

struct SimulatedExit;

class ProgramTable final : public os::SimulatedPrograms {
  public:
    /// `commands`: what is to be done between two turns.
    ProgramTable(Network& network, NetworkHost& host, std::vector<UniqueFunction<void()>>& commands,
                 std::string& failure);
    ProgramTable(const ProgramTable&) = delete;
    ProgramTable& operator=(const ProgramTable&) = delete;
    ~ProgramTable() override;

    /// `name` with a slash: the program at that path; without: wherever it is.
    void add(std::string name, ProgramStub stub);

    os::Spawned spawn(const os::SpawnRequest& request) override;
    os::ExitStatus reap(int pidfd) noexcept override;
    int send_signal(int pidfd, int signal) override;

    /// To all that were started under that name; how many.
    int signal_all(std::string_view name, int signal);

    void lose_power() noexcept;
    /// Let go of those that have ended.
    void bury_the_dead();
    void add_ready(std::vector<SimulatedProcess*>& ready) const;
    std::optional<TimePoint> next_wakeup() const;
    std::string stacks() const;

  private:
    struct Running;

    ProgramStub* stub_for(const os::SpawnRequest& request);
    ProgramStub* stub_named(std::string_view path);
    ProgramStub* stub_of_command(Running& running);
    void inherit(const os::SpawnRequest& request, Running& running);
    void start(int pid);
    Running* running(int pid) noexcept;
    void deliver(Running& running, int signal);
    void end(Running& running, int returncode) noexcept;

    Network& network_;
    NetworkHost& host_;
    std::vector<UniqueFunction<void()>>& commands_;
    std::string& failure_;
    int pids_ = 100;
    std::vector<std::pair<std::string, std::unique_ptr<ProgramStub>>> stubs_;
    std::vector<std::unique_ptr<Running>> running_;
};

}  // namespace asyncio::testing
