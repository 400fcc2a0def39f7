// SPDX-License-Identifier: MIT
//
// SimulatedProcess: a loop of a simulated host, and the program on it. The host's own program is
// one, and so is each program that it starts (program_table.hpp); all share the host's descriptors
// and its disk.
//
//     new --start()--> runs --its task is done--> ended() --close()--> gone
//                       '--close(quietly): killed, or without power--^
//
// Threads: of the simulation, between two turns; take_turn() is a turn.
#pragma once

#include <asyncio/task/task.hpp>
#include <asyncio/testing/network.hpp>

#include <memory>
#include <optional>
#include <string>

namespace asyncio::testing {

/// The calls of os/ are this host's while it lives.
class OnHost {
  public:
    explicit OnHost(NetworkHost& host) noexcept
        : before_(std::exchange(os::simulated_system, &host)) {}
    OnHost(const OnHost&) = delete;
    OnHost& operator=(const OnHost&) = delete;
    ~OnHost() { os::simulated_system = before_; }

  private:
    os::SimulatedSystem* before_;
};

class SimulatedProcess {
  public:
    using Program = UniqueFunction<Task<>(EventLoop&)>;

    /// `failure`: where to say what makes the world fail.
    SimulatedProcess(Network& network, NetworkHost& host, std::string name, std::string& failure);
    SimulatedProcess(const SimulatedProcess&) = delete;
    SimulatedProcess& operator=(const SimulatedProcess&) = delete;
    ~SimulatedProcess();

    void start(Program& program);
    void cancel();
    /// `quietly`: what it would say of its end, nobody hears.
    void close(bool quietly) noexcept;

    bool ended() const noexcept;
    bool can_go_on() const;
    std::optional<TimePoint> next_wakeup() const;
    /// One iteration of its loop.
    void take_turn();
    std::string stacks() const;

  private:
    Coro<> run_program(Task<> program);
    void fail(const std::string& what);

    Network& network_;
    NetworkHost& host_;
    const std::string name_;
    std::string& failure_;
    std::unique_ptr<EventLoop> loop_;
    std::optional<Task<>> program_;
    std::optional<Task<>> main_;
    bool was_busy_ = false;  // its last turn ran something, which may have left something to flush
};

}  // namespace asyncio::testing
