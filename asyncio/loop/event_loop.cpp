// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/coro/error_trace.hpp>
#include <asyncio/coro/run_turns.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/inbox.hpp>
#include <asyncio/loop/signal_handlers.hpp>
#include <asyncio/loop/slow_report.hpp>
#include <asyncio/loop/watchers.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include <pthread.h>

namespace asyncio {

namespace {

/// A single poll never blocks longer; the timer itself is not clamped.
constexpr Duration kLongestPoll = std::chrono::hours(24);

bool debug_from_environment() noexcept {
    const char* value = std::getenv("ASYNCIO_DEBUG");
    return value != nullptr && *value != '\0';
}

/// A forked child is in no loop: its parent's cannot go on there, and it may run one of its own.
void leave_loop_when_forked() noexcept {
    static const int registered =
        ::pthread_atfork(nullptr, nullptr, [] { loop::running_loop = nullptr; });
    static_cast<void>(registered);
}

}  // namespace

loop::ThreadMark loop::this_thread() noexcept {
    static thread_local constinit char mark = 0;
    return &mark;
}

constinit thread_local EventLoop* loop::running_loop = nullptr;

void loop::throw_no_running_loop() { throw std::logic_error("no running event loop"); }

EventLoop::EventLoop(Backend backend) : EventLoop(kernel::make_kernel(backend)) {}

EventLoop::EventLoop(Owned<kernel::Kernel> kernel)
    : core_(new loop::Core),
      kernel_(std::move(kernel)),
      timers_(kernel_->now()),
      inbox_(std::make_shared<loop::Inbox>(core_->ready, [k = kernel_.get()] { k->wake(); })),
      watchers_(make_owned<loop::Watchers>(*this)),
      signals_(make_owned<loop::SignalHandlers>(*this)) {
    leave_loop_when_forked();
    core_->loop = this;
    core_->debug = debug_from_environment();
    coro::set_trace_warden(&expect_trace_end);
    inbox_->on_exception = [this] { callback_failed("Exception in callback", Handle()); };
}

EventLoop::~EventLoop() {
    if (!is_closed()) {
        log(LogLevel::warning, "unclosed event loop");
        if (!is_running()) close();
    }
    while (!services_.empty()) delete &services_.pop_front();
    core_->closed = true;
    core_->loop = nullptr;
}

loop::ThreadMark EventLoop::running_in() const noexcept {
    return std::atomic_ref(running_in_).load();
}

bool EventLoop::is_running() const noexcept { return running_in() != nullptr; }

bool EventLoop::is_closed() const noexcept { return std::atomic_ref(closed_).load(); }

TimePoint EventLoop::time() const noexcept { return kernel_->now(); }

std::string_view EventLoop::backend_name() const noexcept { return kernel_->name(); }

// --- running -----------------------------------------------------------------------------------

void EventLoop::check_can_run() const {
    if (is_closed()) throw std::logic_error("Event loop is closed");
    if (is_running()) throw std::logic_error("This event loop is already running");
    if (loop::running_loop != nullptr)
        throw std::logic_error("Cannot run the event loop while another loop is running");
}

void EventLoop::run_forever() {
    check_can_run();
    kernel_->attach_to_thread();
    struct Running {
        explicit Running(EventLoop& l) : loop(l) {
            std::atomic_ref(loop.running_in_).store(loop::this_thread());
            loop::running_loop = &loop;
            loop.core_->context = &ContextSlot::current_place();
            loop.core_->outside = ContextSlot::current_place();
        }
        ~Running() {
            loop.end_traces();
            loop.stopping_ = false;
            std::atomic_ref(loop.running_in_).store(nullptr);
            loop::running_loop = nullptr;
        }
        EventLoop& loop;
    } running(*this);
    do {
        poll();
        run_ready();
    } while (!stopping_);
}

/// Steps 1 to 5 of an iteration. In line, as run_ready(): where tasks only pass the turn to each
/// other, an iteration is a fifth of a switch.
[[gnu::always_inline]] inline void EventLoop::poll() {
    ++iteration_;
    const bool hooked = !hooks_.empty() && run_hooks();
    if (core_->ready.empty() && !stopping_ && !hooked)
        sleep();
    else if (kernel_->may_have_events())
        kernel_->wait(Duration::zero());
    if (inbox_->has_posts()) [[unlikely]]
        inbox_->deliver();
    if (signals_->pending()) [[unlikely]]
        signals_->deliver();
    if (!timers_.empty()) timers_.expire(kernel_->now(), core_->ready);
}

/// Step 6: only what is ready now; what these add goes to the core's queue and waits for the next
/// poll.
[[gnu::always_inline]] inline void EventLoop::run_ready() {
    try {
        RunBatch batch(core_->ready);  // puts back what is left, when a fatal exception passes,
        coro::run_turns(*core_, batch);
    } catch (...) {
        inbox_->put_back_unfinished();  // and this comes before it
        throw;
    }
}

/// How long the poll may block for a deadline, which is rounded up to the kernel's grid.
Duration EventLoop::time_until(TimePoint deadline) const noexcept {
    const TimePoint now = kernel_->now();
    if (deadline <= now) return Duration::zero();
    if (deadline - now > kLongestPoll) return kLongestPoll;
    const Duration::rep grid = kernel_->timer_grid().count();
    const Duration::rep wake = (deadline.time_since_epoch().count() + grid - 1) / grid * grid;
    return TimePoint(Duration(wake)) - now;
}

/// Those that hooks add are for the next iteration; true if there are any, for which nobody sleeps.
bool EventLoop::run_hooks() {
    IntrusiveList<loop::PollHook> hooks;
    hooks.splice_back(hooks_);
    while (!hooks.empty()) hooks.pop_front().before_poll();
    return !hooks_.empty();
}

/// Poll until something happens. Out of line, so that an iteration with work at hand is short.
[[gnu::noinline]] void EventLoop::sleep() {
    std::optional<Duration> timeout;
    if (const auto deadline = timers_.next_wakeup()) timeout = time_until(*deadline);
    if (!inbox_->go_to_sleep() || signals_->pending()) timeout = Duration::zero();
    kernel_->wait(timeout);
    inbox_->wake_up();
}

void EventLoop::close() {
    if (is_running()) throw std::logic_error("Cannot close a running event loop");
    if (std::atomic_ref(closed_).exchange(true)) return;
    core_->closed = true;
    signals_->clear();
    inbox_->close();
    drop_everything();
    watchers_->clear();
    drop_everything();
    services_.for_each([](loop::Service& service) { service.loop_closed(); });
}

loop::Service* EventLoop::service_of(const void* key) noexcept {
    loop::Service* found = nullptr;
    services_.for_each([&](loop::Service& service) {
        if (service.key == key) found = &service;
    });
    return found;
}

loop::Service& EventLoop::adopt(Owned<loop::Service> service, const void* key) {
    service->key = key;
    services_.push_front(*service);
    return *service.release();
}

/// Callbacks first, then tasks: dropping a callback may finish nothing, but destroying a task's
/// frames may schedule callbacks again.
void EventLoop::drop_everything() noexcept {
    for (;;) {
        while (!hooks_.empty()) hooks_.pop_front();
        timers_.clear([](Runnable& target) { target.discard(); });
        while (!core_->ready.empty()) core_->ready.pop().discard();
        if (members_.empty()) break;
        members_.pop_front().loop_closed();
    }
}

// --- traces of errors ---------------------------------------------------------------------------

void loop::TraceEnd::before_poll() noexcept { coro::forget_traces(); }

void EventLoop::expect_trace_end() noexcept {
    if (loop::running_loop != nullptr)
        loop::running_loop->before_poll(loop::running_loop->trace_end_);
}

/// Now, since this thread may run no further iteration.
void EventLoop::end_traces() noexcept {
    if (!trace_end_.linked()) return;
    trace_end_.unlink();
    coro::forget_traces();
}

// --- scheduling --------------------------------------------------------------------------------

void EventLoop::check_usable_slowly() const {
    if (is_closed()) throw std::logic_error("Event loop is closed");
    const loop::ThreadMark owner = running_in();
    if (get_debug() && owner != nullptr && owner != loop::this_thread())
        throw std::logic_error(
            "Non-thread-safe operation invoked on an event loop other than the current one");
}

void EventLoop::set_task_factory(TaskFactory factory) {
    task_factory_ = factory ? Shared<TaskFactory>::make(std::move(factory)) : nullptr;
}

ThreadsafeHandle EventLoop::post(UniqueFunction<void()> f, ContextSlot context) {
    const bool local = loop::running_loop == this;
    const std::uint64_t inbox = inbox_->id();  // the loop may end as soon as `f` was posted
    const std::uint64_t number = local ? inbox_->post_locally(std::move(f), std::move(context))
                                       : inbox_->post(std::move(f), std::move(context));
    return ThreadsafeHandle(inbox, number);
}

void ThreadsafeHandle::cancel() {
    const auto inbox = loop::Inbox::find(inbox_);
    if (inbox && inbox->cancel(number_)) cancelled_ = true;
}

bool ThreadsafeHandle::cancelled() const {
    if (cancelled_) return true;
    if (const auto inbox = loop::Inbox::find(inbox_)) inbox->await_end(number_);
    return false;
}

bool EventLoop::owns_descriptor(int fd) const noexcept { return watchers_->owns(fd); }

void EventLoop::own_descriptor(int fd, bool owned) { watchers_->own(fd, owned); }

void EventLoop::add_reader(int fd, UniqueFunction<void()> f) {
    check_usable();
    watchers_->add(fd, false, std::move(f));
}

void EventLoop::add_writer(int fd, UniqueFunction<void()> f) {
    check_usable();
    watchers_->add(fd, true, std::move(f));
}

bool EventLoop::remove_reader(int fd) noexcept { return watchers_->remove(fd, false); }

bool EventLoop::remove_writer(int fd) noexcept { return watchers_->remove(fd, true); }

void EventLoop::add_signal_handler(int signal, UniqueFunction<void()> f) {
    check_usable();
    signals_->add(signal, std::move(f), false);
}

std::uint64_t EventLoop::add_signal_handler_once(int signal, UniqueFunction<void()> f) {
    check_usable();
    return signals_->add(signal, std::move(f), true);
}

bool EventLoop::remove_signal_handler(int signal) { return signals_->remove(signal, 0); }

bool EventLoop::remove_signal_handler(int signal, std::uint64_t number) {
    return signals_->remove(signal, number);
}

}  // namespace asyncio
