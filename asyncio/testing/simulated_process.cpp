// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/task/as_outcome.hpp>
#include <asyncio/task/task_listing.hpp>
#include <asyncio/task/wait.hpp>
#include <asyncio/testing/simulated_kernel.hpp>
#include <asyncio/testing/simulated_process.hpp>

#include <algorithm>
#include <memory>

namespace asyncio::testing {

namespace {

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

SimulatedProcess::SimulatedProcess(Network& network, NetworkHost& host, std::string name,
                                   std::string& failure)
    : network_(network), host_(host), name_(std::move(name)), failure_(failure) {}

SimulatedProcess::~SimulatedProcess() { close(true); }

void SimulatedProcess::fail(const std::string& what) { failure_ = "host " + name_ + " " + what; }

// --- from start to end ---------------------------------------------------------------------------

void SimulatedProcess::start(Program& program) {
    const OnHost here(host_);
    loop_ = std::make_unique<EventLoop>(std::make_unique<SimulatedKernel>(network_, host_));
    loop_->set_exception_handler([this](EventLoop&, const ExceptionContext& context) {
        if (is_expected(context)) return;
        std::string what = "reported: " + context.message;
        if (context.exception) what += ": " + describe(context.exception);
        fail(what);
    });
    program_ = program(*loop_);
    program_->set_name(name_);
    main_ = loop_->create_task(
        [this, started = *program_]() -> Coro<> { co_await run_program(started); });
    main_->set_name("run");
    was_busy_ = true;
}

/// As asyncio::run() does it, inside of the loop.
Coro<> SimulatedProcess::run_program(Task<> program) {
    const Outcome<void> outcome = co_await as_outcome(program);
    co_await cancel_other_tasks();
    co_await shut_down_services(*loop_);
    if (outcome || outcome.cancelled()) co_return;
    fail("threw " + describe(outcome.error()));
}

void SimulatedProcess::cancel() {
    const OnHost here(host_);
    if (program_) program_->cancel();
}

void SimulatedProcess::close(bool quietly) noexcept {
    if (!loop_) return;
    const OnHost here(host_);
    std::optional<Silence> silence;
    if (quietly) {
        silence.emplace();
        loop_->set_exception_handler([](EventLoop&, const ExceptionContext&) {});
    }
    program_.reset();
    main_.reset();
    loop_->close();
    loop_.reset();
}

bool SimulatedProcess::ended() const noexcept { return main_ && main_->done(); }

// --- turns ---------------------------------------------------------------------------------------

bool SimulatedProcess::can_go_on() const {
    if (!loop_) return false;
    if (was_busy_ || !loop_->core().ready.empty()) return true;
    if (loop_->kernel().may_have_events() || loop_->inbox()->has_posts()) return true;
    const std::optional<TimePoint> wakeup = loop_->timers().next_wakeup();
    return wakeup && *wakeup <= network_.agenda().now();
}

std::optional<TimePoint> SimulatedProcess::next_wakeup() const {
    if (!loop_) return std::nullopt;
    return loop_->timers().next_wakeup();
}

void SimulatedProcess::take_turn() {
    const OnHost here(host_);
    was_busy_ = false;
    was_busy_ = can_go_on();
    try {
        loop_->stop();
        loop_->run_forever();
    } catch (...) {
        fail("threw " + describe(std::current_exception()));
    }
}

std::string SimulatedProcess::stacks() const {
    if (!loop_) return "(its loop is gone)";
    const std::vector<TaskListing> tasks = list_tasks(*loop_);
    try {
        return format_task_tree(tasks);
    } catch (const CycleFoundException&) {
        return format_task_table(tasks);
    }
}

}  // namespace asyncio::testing
