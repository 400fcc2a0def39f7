// SPDX-License-Identifier: MIT
#include <asyncio/testing/program_table.hpp>
#include <asyncio/testing/simulated_process.hpp>
#include <asyncio/testing/simulation.hpp>

#include <algorithm>
#include <memory>

namespace asyncio::testing {

SimulatedHost::SimulatedHost(Simulation& simulation, NetworkHost& network_host, Program program)
    : simulation_(simulation),
      network_host_(network_host),
      program_(std::move(program)),
      process_(std::make_unique<SimulatedProcess>(simulation.network_, network_host,
                                                  network_host.name(), simulation.failure_)),
      programs_(std::make_unique<ProgramTable>(simulation.network_, network_host,
                                               simulation.commands_, simulation.failure_)) {
    network_host.set_programs(programs_.get());
}

SimulatedHost::~SimulatedHost() { lose_power(); }

std::string SimulatedHost::address() const {
    constexpr int kInternet = 2;  // AF_INET
    return network_host_.address(kInternet).host();
}

void SimulatedHost::add_stub(std::string name, ProgramStub stub) {
    programs_->add(std::move(name), std::move(stub));
}

int SimulatedHost::send_signal(std::string_view name, int signal) {
    return programs_->signal_all(name, signal);
}

// --- from start to end ---------------------------------------------------------------------------

void SimulatedHost::start() {
    network_host_.get_power();
    process_->start(program_);
    running_ = started_ = true;
}

void SimulatedHost::look_for_end() {
    programs_->bury_the_dead();
    if (!started_ || !process_->ended()) return;
    process_->close(false);
    running_ = started_ = false;
    programs_->bury_the_dead();  // those it left behind were killed
    network_host_.run_jobs();    // a thread that still works may hold a descriptor
    for (const std::string& open : network_host_.open_descriptors())
        simulation_.failure_ = "host " + name() + " left descriptor " + open + " open";
    for (const Future<>& waiting : std::exchange(waiting_, {}))
        if (!waiting.done()) waiting.set_result();
}

void SimulatedHost::lose_power() {
    if (!started_) return;
    network_host_.lose_power();
    programs_->lose_power();
    process_->close(true);
    running_ = started_ = false;
}

Coro<> SimulatedHost::finished() {
    if (!running_) co_return;
    waiting_.push_back(get_running_loop().create_future<void>());
    co_await Future<>(waiting_.back());
}

void SimulatedHost::stop() {
    simulation_.commands_.push_back([this] { process_->cancel(); });
}

void SimulatedHost::crash() {
    running_ = false;
    simulation_.commands_.push_back([this] { lose_power(); });
}

void SimulatedHost::restart() {
    running_ = true;
    simulation_.commands_.push_back([this] {
        if (!started_) start();
    });
}

void SimulatedHost::pause(Duration duration) {
    paused_until_ = std::max(paused_until_, simulation_.now() + duration);
}

// --- turns ---------------------------------------------------------------------------------------

void SimulatedHost::add_ready(std::vector<SimulatedProcess*>& ready) const {
    if (paused_until_ > simulation_.now()) return;
    if (process_->can_go_on()) ready.push_back(process_.get());
    programs_->add_ready(ready);
}

std::optional<TimePoint> SimulatedHost::next_wakeup() const {
    if (!started_) return std::nullopt;
    if (paused_until_ > simulation_.now()) return paused_until_;
    const std::optional<TimePoint> own = process_->next_wakeup();
    const std::optional<TimePoint> theirs = programs_->next_wakeup();
    return own && theirs ? std::min(*own, *theirs) : own ? own : theirs;
}

std::string SimulatedHost::stacks() const { return process_->stacks() + programs_->stacks(); }

}  // namespace asyncio::testing
