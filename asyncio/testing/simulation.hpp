// SPDX-License-Identifier: MIT
//
// simulate: run a whole program of many hosts in one process, in virtual time, with a network that
// fails as the seed wants; the same seed gives the same run, event for event.
//
//     Coro<> world(asyncio::testing::Simulation& sim) {
//         auto& server = sim.host("server", [] { return serve(7777); });
//         auto& client = sim.host("client", [] { return talk("server", 7777); });
//         co_await client.finished();
//         server.stop();                          // cancels its program, as Ctrl-C does
//         co_await server.finished();
//     }
//     asyncio::testing::simulate_seeds(1000, world);      // throws SimulationFailed: which seed,
//     why
//
// Each host has a loop of its own, on a SimulatedKernel; so has the world, which directs: it starts
// hosts, cuts them off, crashes and restarts them. The library runs unchanged in it, because its
// system calls turn off at os/simulated.hpp. One thread runs them all, a turn (an iteration of one
// host's loop) after the other:
//
//     what is due happens -> who can go on? -> the seed picks one -> its turn
//                              | nobody
//                              '-> time jumps to the next packet or timer; there is none: deadlock
//
// The order of what is ready on one host is never shuffled: first come, first served is a promise
// (M-rules). The seed decides what is open: which host's turn it is, how long a turn takes, in
// which order and when completions come (simulated_kernel.hpp), and what the network does
// (network.hpp).
//
// Liveness: after `faults_for` the network is good again, and then everything has to end within
// `patience`. When the world's coroutine returns, the hosts that still run are stopped and have to
// end, too. A host has to leave nothing behind: its remaining tasks are cancelled and awaited, as
// run() does, and a descriptor that is still open then is a failure; so is an exception that leaves
// a program or comes to a loop's exception handler.
//
// A program starts on restart() again, from a copy of the function; what it keeps across must be
// outside of it, or on its host's disk (disk.hpp), which forgets in a crash what was not saved.
// crash() is a loss of power: nobody is told, connections just stop answering, and the first packet
// after the restart is answered by a reset. Its frames are destroyed, so destructors run, but what
// they do reaches nobody.
//
// What to_thread() and executors are given runs in the simulation's thread, at a time of its own: a
// host has no threads. Names are looked up among the hosts. The programs that a host starts are
// coroutines, too (child_program.hpp); each has a loop of its own and has turns as the hosts have.
// Signals that the process itself handles are the real ones: a world leaves them out.
//
// Failing seeds: ASYNCIO_SEED=N, or --seed=N on the command line of any test program, makes
// simulate_seeds() run that seed only.
//
// Threads: the caller's, in which no loop may run.
#pragma once

#include <asyncio/task/future.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/testing/agenda.hpp>
#include <asyncio/testing/child_program.hpp>
#include <asyncio/testing/network.hpp>
#include <asyncio/testing/random.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace asyncio::testing {

class ProgramTable;
class Simulation;
class SimulatedProcess;

struct SimulationOptions {
    /// What the network does while there are faults; null: NetworkFaults::rough(), by the seed.
    const NetworkFaults* faults = nullptr;
    /// What the disks do meanwhile; null: DiskFaults::rough(), by the seed.
    const DiskFaults* disk_faults = nullptr;
    /// How long there are faults.
    Duration faults_for = std::chrono::seconds(30);
    /// How long all may take to end when there are none any more.
    Duration patience = std::chrono::minutes(10);
    /// Turns of all hosts together; more of them are called a livelock.
    std::uint64_t most_turns = 20'000'000;
};

struct SimulationResult {
    std::uint64_t seed = 0;
    std::uint64_t trace_hash = 0;  // of all packets, completions and turns, with their times
    std::uint64_t events = 0;
    std::uint64_t turns = 0;
    Duration took{};  // virtual
};

/// What went wrong in a world, and how to see it again.
class SimulationFailed : public std::runtime_error {
  public:
    SimulationFailed(std::uint64_t seed, const std::string& what);
    std::uint64_t seed() const noexcept { return seed_; }

  private:
    std::uint64_t seed_;
};

/// A host and the program on it.
class SimulatedHost {
  public:
    using Program = UniqueFunction<Task<>(EventLoop&)>;

    SimulatedHost(Simulation& simulation, NetworkHost& network_host, Program program);
    SimulatedHost(const SimulatedHost&) = delete;
    SimulatedHost& operator=(const SimulatedHost&) = delete;
    ~SimulatedHost();

    const std::string& name() const noexcept { return network_host_.name(); }
    /// "10.0.0.2"; its name works as well.
    std::string address() const;
    /// True from start or restart to the program's end or a crash.
    bool running() const noexcept { return running_; }

    /// Its files; what is on it survives crash() and restart(), as far as it was saved.
    Disk& disk() noexcept { return network_host_.disk(); }

    /// A program that this host can run, besides its own: `stub` is a function that takes a
    /// ChildProgram& and returns a Coro<int>, and can be copied. See child_program.hpp.
    template <class F>
    void on_program(std::string name, F stub) {
        add_stub(std::move(name), [stub = std::move(stub)](EventLoop& loop, ChildProgram& self) {
            return loop.create_task(
                [stub, &self]() -> Coro<int> { co_return co_await stub(self); });
        });
    }
    /// To all programs that run under that name; how many these are.
    int send_signal(std::string_view name, int signal);

    /// Suspend until its program has ended (by a return or stop(), not by a crash).
    Coro<> finished();
    /// Cancel its program.
    void stop();
    /// Loss of power, before anybody's next turn.
    void crash();
    /// Run the program again. REQUIRES: it ended or crashed.
    void restart();
    /// It stands still that long, with its timers.
    void pause(Duration duration);

  private:
    friend class Simulation;

    void add_stub(std::string name, ProgramStub stub);
    void start();
    void add_ready(std::vector<SimulatedProcess*>& ready) const;
    std::optional<TimePoint> next_wakeup() const;
    void look_for_end();
    void lose_power();
    std::string stacks() const;

    Simulation& simulation_;
    NetworkHost& network_host_;
    Program program_;
    std::unique_ptr<SimulatedProcess> process_;
    std::unique_ptr<ProgramTable> programs_;
    bool running_ = false;  // or about to
    bool started_ = false;
    TimePoint paused_until_{};
    std::vector<Future<>> waiting_;  // for its end, on the world's loop
};

class Simulation {
  public:
    Simulation(std::uint64_t seed, SimulationOptions options);
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;
    ~Simulation();

    /// A new host that runs `program`, a function that returns a coroutine and can be copied. It
    /// runs until it has ended, also when the world has: what it refers to in the world's coroutine
    /// needs a crash(), or a stop() and finished(), before that returns.
    template <class F>
    SimulatedHost& host(std::string name, F program) {
        return add_host(std::move(name), as_program(std::move(program)));
    }

    /// Cut or mend the way between two hosts.
    void partition(SimulatedHost& a, SimulatedHost& b, bool cut = true);
    /// Mend all, and have no faults from now on.
    void heal();
    NetworkFaults& faults() noexcept { return network_.faults; }
    /// For the world's own decisions.
    Random& random() noexcept { return random_; }
    TimePoint now() const noexcept { return agenda_.now(); }

    /// Run `world(*this)` on a host of its own, until it and all others have ended.
    template <class F>
    SimulationResult run(F world) {
        return run_world(
            as_program([this, world = std::move(world)]() -> Coro<> { co_await world(*this); }));
    }

  private:
    friend class SimulatedHost;

    template <class F>
    static SimulatedHost::Program as_program(F program) {
        return [program = std::move(program)](EventLoop& loop) {
            return loop.create_task([program]() -> Coro<> { co_await program(); });
        };
    }

    SimulatedHost& add_host(std::string name, SimulatedHost::Program program);
    SimulationResult run_world(SimulatedHost::Program world);
    void turn();
    void do_commands();
    void let_time_pass();
    void check_limits();
    void plan_faults();
    void do_faults();
    void cut_for_a_while();
    [[noreturn]] void fail(const std::string& what);

    const std::uint64_t seed_;
    const SimulationOptions options_;
    Random random_;
    Random schedule_;
    DiskFaults disk_faults_;
    Trace trace_;
    Agenda agenda_;
    Network network_;
    std::vector<UniqueFunction<void()>> commands_;  // done between turns
    std::string failure_;
    std::vector<std::unique_ptr<SimulatedHost>> hosts_;
    std::uint64_t turns_ = 0;
    bool has_faults_ = true;
};

/// Run one world. Throws SimulationFailed.
template <class F>
SimulationResult simulate(std::uint64_t seed, F world, SimulationOptions options = {}) {
    return Simulation(seed, options).run(std::move(world));
}

/// The seeds to try: the one asked for by ASYNCIO_SEED or --seed, else 1 to `count`, times what
/// ASYNCIO_TEST_SCALE says.
std::vector<std::uint64_t> seeds_to_try(std::uint64_t count);
/// Every tenth; every one if ASYNCIO_SEEDS_TWICE is set.
bool is_run_twice(std::uint64_t seed);
void check_same(const SimulationResult& first, const SimulationResult& second);

/// Run many; some twice, to see that the seed decides everything. The sum of all.
template <class F>
SimulationResult simulate_seeds(std::uint64_t count, F world, SimulationOptions options = {}) {
    SimulationResult sum;
    for (const std::uint64_t seed : seeds_to_try(count)) {
        const SimulationResult result = simulate(seed, world, options);
        if (is_run_twice(seed)) check_same(result, simulate(seed, world, options));
        sum.trace_hash ^= result.trace_hash;
        sum.events += result.events;
        sum.turns += result.turns;
        sum.took += result.took;
    }
    return sum;
}

}  // namespace asyncio::testing
