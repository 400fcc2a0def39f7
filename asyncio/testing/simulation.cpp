// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/testing/simulated_process.hpp>
#include <asyncio/testing/simulation.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string_view>

namespace asyncio::testing {

namespace {

constexpr Duration kFaultInterval = std::chrono::milliseconds(500);
constexpr Duration kLongestTurn = std::chrono::microseconds(20);

std::optional<std::uint64_t> number_in(std::string_view text) {
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, number);
    if (text.empty() || parsed.ptr != end) return std::nullopt;
    return number;
}

/// The seed somebody asked for.
std::optional<std::uint64_t> wanted_seed() {
    if (const char* const value = std::getenv("ASYNCIO_SEED")) return number_in(value);
    std::ifstream arguments("/proc/self/cmdline");
    bool is_next = false;
    for (std::string argument; std::getline(arguments, argument, '\0');) {
        if (is_next) return number_in(argument);
        if (argument.starts_with("--seed=")) return number_in(argument.substr(7));
        is_next = argument == "--seed";
    }
    return std::nullopt;
}

double scale() {
    const char* const value = std::getenv("ASYNCIO_TEST_SCALE");
    const double number = value != nullptr ? std::strtod(value, nullptr) : 1;
    return number > 0 ? number : 1;
}

}  // namespace

SimulationFailed::SimulationFailed(std::uint64_t seed, const std::string& what)
    : std::runtime_error("seed " + std::to_string(seed) + ": " + what +
                         "\nto see it again: ASYNCIO_SEED=" + std::to_string(seed)),
      seed_(seed) {}

std::vector<std::uint64_t> seeds_to_try(std::uint64_t count) {
    if (const auto seed = wanted_seed()) return {*seed};
    const auto scaled = static_cast<std::uint64_t>(static_cast<double>(count) * scale());
    std::vector<std::uint64_t> seeds;
    for (std::uint64_t seed = 1; seed <= std::max<std::uint64_t>(scaled, 1); ++seed)
        seeds.push_back(seed);
    return seeds;
}

bool is_run_twice(std::uint64_t seed) {
    return seed % 10 == 1 || std::getenv("ASYNCIO_SEEDS_TWICE") != nullptr;
}

void check_same(const SimulationResult& first, const SimulationResult& second) {
    if (first.trace_hash == second.trace_hash) return;
    throw SimulationFailed(
        first.seed,
        "two runs differ: something in the program depends on more than the seed "
        "(addresses, real time, threads); events " +
            std::to_string(first.events) + " and " + std::to_string(second.events));
}

Simulation::Simulation(std::uint64_t seed, SimulationOptions options)
    : seed_(seed),
      options_(options),
      random_(seed),
      schedule_(random_.branch()),
      network_(agenda_, random_.branch(), trace_) {
    Random draw = random_.branch();
    network_.faults = options.faults != nullptr ? *options.faults : NetworkFaults::rough(draw);
    disk_faults_ = options.disk_faults != nullptr ? *options.disk_faults : DiskFaults::rough(draw);
}

Simulation::~Simulation() = default;

SimulatedHost& Simulation::add_host(std::string name, SimulatedHost::Program program) {
    if (network_.host_named(name) != nullptr)
        throw std::invalid_argument("there is a host " + name + " already");
    NetworkHost& network_host = network_.add_host(std::move(name));
    if (has_faults_) network_host.disk().faults = disk_faults_;
    hosts_.push_back(std::make_unique<SimulatedHost>(*this, network_host, std::move(program)));
    SimulatedHost& host = *hosts_.back();
    commands_.push_back([&host] { host.start(); });
    host.running_ = true;
    return host;
}

SimulationResult Simulation::run_world(SimulatedHost::Program program) {
    SimulatedHost& world = add_host("world", std::move(program));
    plan_faults();
    while (world.running()) turn();
    for (std::size_t i = 0; i < hosts_.size(); ++i)
        if (hosts_[i]->running()) hosts_[i]->stop();
    const auto runs = [](const auto& host) { return host->running(); };
    while (!commands_.empty() || std::ranges::any_of(hosts_, runs)) turn();
    return {.seed = seed_,
            .trace_hash = trace_.hash(),
            .events = trace_.events(),
            .turns = turns_,
            .took = agenda_.now() - Agenda::kStart};
}

// --- turns ---------------------------------------------------------------------------------------

void Simulation::turn() {
    do_commands();
    agenda_.advance_to(agenda_.now());
    std::vector<SimulatedProcess*> ready;
    std::vector<SimulatedHost*> hosts;  // where each of them is
    for (const auto& host : hosts_) {
        host->add_ready(ready);
        hosts.resize(ready.size(), host.get());
    }
    if (ready.empty()) {
        if (commands_.empty()) let_time_pass();
    } else {
        const std::size_t chosen = schedule_.index(ready.size());
        SimulatedHost& host = *hosts[chosen];
        trace_.add(host.network_host_.number(), ++turns_);
        ready[chosen]->take_turn();
        agenda_.advance_to(agenda_.now() + schedule_.between(Duration(1), kLongestTurn));
        host.look_for_end();
    }
    if (!failure_.empty()) fail(failure_);
    check_limits();
}

void Simulation::do_commands() {
    std::vector<UniqueFunction<void()>> commands = std::exchange(commands_, {});
    for (UniqueFunction<void()>& command : commands) command();
}

void Simulation::let_time_pass() {
    std::optional<TimePoint> next = agenda_.next();
    bool somebody_runs = false;
    for (const auto& host : hosts_) {
        if (!host->running()) continue;
        somebody_runs = true;
        const std::optional<TimePoint> wakeup = host->next_wakeup();
        if (wakeup && (!next || *wakeup < *next)) next = wakeup;
    }
    if (!somebody_runs) return;
    if (!next) fail("deadlock: nothing will ever happen");
    agenda_.advance_to(*next);
}

void Simulation::check_limits() {
    if (turns_ > options_.most_turns)
        fail("livelock: " + std::to_string(turns_) + " turns, and no end");
    if (agenda_.now() - Agenda::kStart > options_.faults_for + options_.patience)
        fail("no end: the network was good again, but somebody did not finish");
}

void Simulation::fail(const std::string& what) {
    std::string text = what;
    for (const auto& host : hosts_)
        if (host->running()) text += "\non host " + host->name() + ":\n" + host->stacks();
    throw SimulationFailed(seed_, text);
}

// --- faults --------------------------------------------------------------------------------------

void Simulation::partition(SimulatedHost& a, SimulatedHost& b, bool cut) {
    network_.set_partition(a.network_host_, b.network_host_, cut);
}

void Simulation::heal() {
    has_faults_ = false;
    network_.faults = NetworkFaults{};
    network_.heal();
    for (const auto& host : hosts_) {
        host->paused_until_ = TimePoint{};
        host->disk().faults = DiskFaults{};
    }
}

void Simulation::plan_faults() {
    agenda_.after(options_.faults_for, [this] { heal(); });
    agenda_.after(kFaultInterval, [this] { do_faults(); });
}

void Simulation::do_faults() {
    if (!has_faults_) return;
    const double share = std::chrono::duration<double>(kFaultInterval).count();
    if (schedule_.chance(network_.faults.partition * share)) cut_for_a_while();
    if (schedule_.chance(network_.faults.pause * share))
        hosts_[schedule_.index(hosts_.size())]->pause(
            schedule_.between(Duration(1), network_.faults.longest_outage));
    agenda_.after(kFaultInterval, [this] { do_faults(); });
}

void Simulation::cut_for_a_while() {
    SimulatedHost& a = *hosts_[schedule_.index(hosts_.size())];
    SimulatedHost& b = *hosts_[schedule_.index(hosts_.size())];
    if (&a == &b) return;
    partition(a, b);
    agenda_.after(schedule_.between(Duration(1), network_.faults.longest_outage),
                  [this, &a, &b] { partition(a, b, false); });
}

}  // namespace asyncio::testing
