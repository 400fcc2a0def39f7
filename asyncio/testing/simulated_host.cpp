// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/task/wait.hpp>
#include <asyncio/testing/simulated_kernel.hpp>
#include <asyncio/testing/simulation.hpp>

#include <algorithm>

namespace asyncio::testing {

namespace {

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

/// What a crashed host would say of its end, nobody hears.
class Silence {
  public:
    Silence() noexcept : before_(set_log_sink([](LogLevel, std::string_view) {})) {}
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;
    ~Silence() { set_log_sink(before_); }

  private:
    LogSink before_;
};

/// What the system does to a server, and the server lives with.
bool is_expected(const ExceptionContext& context) {
    return context.message == "socket.accept() out of system resource";
}

Coro<> cancel_other_tasks() {
    for (;;) {
        std::vector<AnyTask> tasks = all_tasks();
        const AnyTask self = current_task();
        std::erase_if(tasks, [&](const AnyTask& task) { return &task.core() == &self.core(); });
        if (tasks.empty()) co_return;
        for (const AnyTask& task : tasks) task.cancel();
        (void)co_await wait(tasks);
    }
}

Coro<> shut_down_services(EventLoop& loop) {
    using Stage = loop::Service::Stage;
    for (const Stage stage : {Stage::user_code, Stage::threads}) {
        std::vector<loop::Service*> services;
        loop.services().for_each([&](loop::Service& service) {
            if (service.stage() == stage) services.push_back(&service);
        });
        for (loop::Service* service : services) co_await service->shut_down();
    }
}

}  // namespace

SimulatedHost::SimulatedHost(Simulation& simulation, NetworkHost& network_host, Program program)
    : simulation_(simulation), network_host_(network_host), program_(std::move(program)) {}

SimulatedHost::~SimulatedHost() {
    if (!loop_) return;
    network_host_.lose_power();
    close_loop(true);
}

std::string SimulatedHost::address() const {
    constexpr int kInternet = 2;  // AF_INET
    return network_host_.address(kInternet).host();
}

// --- from start to end ---------------------------------------------------------------------------

void SimulatedHost::start() {
    const OnHost here(network_host_);
    network_host_.get_power();
    loop_ = std::make_unique<EventLoop>(
        std::make_unique<SimulatedKernel>(simulation_.network_, network_host_));
    loop_->set_exception_handler([this](EventLoop&, const ExceptionContext& context) {
        if (is_expected(context)) return;
        simulation_.failure_ = "host " + name() + " reported: " + context.message;
        if (context.exception) simulation_.failure_ += ": " + describe(context.exception);
    });
    running_program_ = program_(*loop_);
    running_program_->set_name(name());
    main_ = loop_->create_task(
        [this, program = *running_program_]() -> Coro<> { co_await run_program(program); });
    main_->set_name("run");
    running_ = true;
    was_busy_ = true;
}

/// As asyncio::run() does it, inside of the loop.
Coro<> SimulatedHost::run_program(Task<> program) {
    const Outcome<void> outcome = co_await as_outcome(program);
    co_await cancel_other_tasks();
    co_await shut_down_services(*loop_);
    if (outcome || outcome.cancelled()) co_return;
    simulation_.failure_ = "host " + name() + " threw " + describe(outcome.error());
}

void SimulatedHost::close_loop(bool quietly) noexcept {
    const OnHost here(network_host_);
    std::optional<Silence> silence;
    if (quietly) {
        silence.emplace();
        loop_->set_exception_handler([](EventLoop&, const ExceptionContext&) {});
    }
    running_program_.reset();
    main_.reset();
    loop_->close();
    loop_.reset();
    running_ = false;
}

void SimulatedHost::look_for_end() {
    if (!main_ || !main_->done()) return;
    close_loop(false);
    network_host_.run_jobs();  // a thread that still works may hold a descriptor
    for (const std::string& open : network_host_.open_descriptors())
        simulation_.failure_ = "host " + name() + " left descriptor " + open + " open";
    for (const Future<>& waiting : std::exchange(waiting_, {}))
        if (!waiting.done()) waiting.set_result();
}

void SimulatedHost::lose_power() {
    if (!loop_) return;
    network_host_.lose_power();
    close_loop(true);
}

Coro<> SimulatedHost::finished() {
    if (!running_) co_return;
    waiting_.push_back(get_running_loop().create_future<void>());
    co_await Future<>(waiting_.back());
}

void SimulatedHost::stop() {
    simulation_.commands_.push_back([this] {
        const OnHost here(network_host_);
        if (running_program_) running_program_->cancel();
    });
}

void SimulatedHost::crash() {
    running_ = false;
    simulation_.commands_.push_back([this] { lose_power(); });
}

void SimulatedHost::restart() {
    running_ = true;
    simulation_.commands_.push_back([this] {
        if (!loop_) start();
    });
}

void SimulatedHost::pause(Duration duration) {
    paused_until_ = std::max(paused_until_, simulation_.now() + duration);
}

// --- turns ---------------------------------------------------------------------------------------

bool SimulatedHost::can_go_on() const {
    const TimePoint now = simulation_.now();
    if (!loop_ || paused_until_ > now) return false;
    if (was_busy_ || !loop_->core().ready.empty()) return true;
    if (loop_->kernel().may_have_events() || loop_->inbox()->has_posts()) return true;
    const std::optional<TimePoint> wakeup = loop_->timers().next_wakeup();
    return wakeup && *wakeup <= now;
}

std::optional<TimePoint> SimulatedHost::next_wakeup() const {
    if (!loop_) return std::nullopt;
    if (paused_until_ > simulation_.now()) return paused_until_;
    return loop_->timers().next_wakeup();
}

/// One iteration of its loop.
void SimulatedHost::take_turn() {
    const OnHost here(network_host_);
    was_busy_ = false;
    was_busy_ = can_go_on();
    try {
        loop_->stop();
        loop_->run_forever();
    } catch (...) {
        simulation_.failure_ = "host " + name() + " threw " + describe(std::current_exception());
    }
}

std::string SimulatedHost::stacks() const {
    if (!loop_) return "(its loop is gone)";
    const std::vector<TaskListing> tasks = list_tasks(*loop_);
    try {
        return format_task_tree(tasks);
    } catch (const CycleFoundException&) {
        return format_task_table(tasks);
    }
}

}  // namespace asyncio::testing
