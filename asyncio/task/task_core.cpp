// SPDX-License-Identifier: MIT
#include <asyncio/base/log_parts.hpp>
#include <asyncio/loop/report_error.hpp>
#include <asyncio/loop/slow_report.hpp>
#include <asyncio/task/future_awaiter.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/task_core.hpp>
#include <asyncio/task/task_stack.hpp>

#include <atomic>

namespace asyncio::task {

namespace {

/// Task numbers come in blocks per thread: unique in the process, increasing in a thread, and
/// without an atomic operation per task.
std::uint32_t next_task_number() noexcept {
    constexpr std::uint32_t kBlock = 1024;
    static std::atomic<std::uint32_t> next_block{1};
    static thread_local constinit std::uint32_t next = 0;
    static thread_local constinit std::uint32_t end = 0;
    if (next == end) {
        next = next_block.fetch_add(kBlock);
        end = next + kBlock;
    }
    return next++;
}

/// Debug mode: a coroutine was dropped before it started. Cheap to ask, so always installed.
void report_never_awaited(const std::source_location& created) noexcept {
    const EventLoop* loop = get_running_loop_or_null();
    if (loop == nullptr || !loop->get_debug()) return;
    const std::string line = std::to_string(created.line());  // short enough to need no memory
    log_parts(LogLevel::warning, {"coroutine '", created.function_name(), "' (",
                                  created.file_name(), ":", line, ") was never awaited"});
}

[[maybe_unused]] const bool installed = [] {
    coro::set_never_awaited(&report_never_awaited);
    return true;
}();

}  // namespace

TaskCore::~TaskCore() {
    report_unretrieved();  // while it is a task still
    if (innermost_ != nullptr) destroy_chain();
}

void TaskCore::start(coro::PromiseBase& root, const TaskOptions& options) {
    number_ = next_task_number();
    root.become_root(*this);
    innermost_ = &root;
    if (!options.name.empty()) set_name(options.name);
    if (core().loop->task_factory() == nullptr) [[likely]] {
        begin(options);
        return;
    }
    const Shared<TaskFactory> factory = loop().task_factory();
    TaskOptions chosen = options;
    (*factory)(AnyTask(this), chosen);
    begin(chosen);
}

void TaskCore::begin(const TaskOptions& options) {
    context_ = options.context.slot();
    add_ref();  // the loop's, until done
    core().loop->members().push_back(*this);
    if (options.eager_start.value_or(false) && get_running_loop_or_null() == core().loop)
        step_eagerly();
    else
        core().ready.push(*this);
}

/// Inside the step of another task, or a callback.
void TaskCore::step_eagerly() {
    struct Inside {
        explicit Inside(loop::Core& c) noexcept
            : core(c), creator(c.current_driver), context(*c.context) {}
        ~Inside() {
            core.current_driver = creator;
            *core.context = context;
        }
        loop::Core& core;
        coro::Driver* creator;
        ContextSlot* context;
    } inside(core());
    const Ref<TaskCore> keep(this);
    try {
        run();
    } catch (...) {
        mark_retrieved();  // it reaches the creator this way
        throw;
    }
}

bool TaskCore::resume_watched() noexcept {
    const auto describe = [](const void* task) {
        return static_cast<const TaskCore*>(task)->description();
    };
    const loop::SlowReport report(*core().loop, "task step", describe, this);
    return resume_chain();
}

void TaskCore::finish() {
    // Decided here: what the parameters' destructors ask of this task comes too late.
    const bool value_is_lost = must_cancel();  // it cancelled itself, then returned
    std::exception_ptr error = take_outcome(*innermost_, value_is_lost);
    destroy_chain();
    if (!error && !value_is_lost) {
        complete_with_result();
        leave_loop();
    } else if (!error || is_cancelled_error(error)) {
        end_cancelled(std::move(error));
    } else {
        const bool fatal = is_fatal(error);
        complete_with_error(error);
        leave_loop();
        if (fatal) std::rethrow_exception(error);
    }
}

/// While nobody waits, an exception that says no more than we know is not kept: whoever asks later
/// gets one like it. So a million cancelled tasks hold no million exceptions, and each is made in
/// the memory of the last.
void TaskCore::end_cancelled(std::exception_ptr error) noexcept {
    const CancelledError* known = cancelled_error_in(error);
    if (known != nullptr && !is_awaited() && known->message() == message()) error = nullptr;
    complete_cancelled(std::move(error));
    leave_loop();
}

/// The loop lets go; this may be the end of the object.
void TaskCore::leave_loop() noexcept {
    loop::Member::unlink();
    if (drop_ref()) destroy();
}

void TaskCore::report_pending() noexcept {
    const auto fill = [this](ExceptionContext& context) {
        fill_context(context);
        context.task = name();
        context.call_stack = format_stack(get_stack(*this, kWholeStack, created_));
        context.source_location =
            std::string(created_.file_name()) + ":" + std::to_string(created_.line());
    };
    loop::report_error(*core().loop, "Task was destroyed but it is pending!", nullptr, fill);
}

void TaskCore::loop_closed() noexcept {
    const Ref<TaskCore> keep(this);  // and with it the context
    const ContextScope scope(context_);
    if (report_if_destroyed_pending_) report_pending();
    destroy_chain();
    abandon_waiters();
    if (drop_ref()) destroy();
}

bool TaskCore::cancel(const std::string& message) {
    mark_retrieved();
    if (done()) return false;
    TaskCore* task = this;
    const TaskCore* landmark = this;  // Brent: moves up at each power of two, met again in a circle
    std::size_t steps = 0;
    std::size_t stretch = 1;
    for (;;) {
        ++task->cancel_requests_;
        coro::Driver* inner = task->wait_ != nullptr ? task->wait_->awaited_driver() : nullptr;
        if (inner == nullptr) break;
        if (task->cancel_due()) return true;  // it is on its way out of a circle already
        task = from(inner);                   // not done: it takes the request over
        task->mark_retrieved();
        if (task == landmark) {  // tasks that wait for each other: one of them has to give up
            task->deliver_cancel(message);
            task->wake();
            return true;
        }
        if (++steps == stretch) {
            landmark = task;
            stretch *= 2;
            steps = 0;
        }
    }
    if (task->wait_ != nullptr && task->wait_->cancel(message)) return true;
    if (!task->cancel_due()) task->set_message(message);  // the first message is the one thrown
    task->set_must_cancel();
    return true;
}

void EndAwaiter::throw_misuse(const char* what) { throw std::logic_error(what); }

FutureCore* EndAwaiter::Node::awaiter() const noexcept {
    return TaskCore::from(static_cast<coro::Driver*>(&target()));
}

std::uint32_t TaskCore::uncancel() noexcept {
    if (cancel_requests_ > 0 && --cancel_requests_ == 0) revoke_must_cancel();
    return cancel_requests_;
}

std::string TaskCore::name() const {
    const std::string* given = given_name();
    return given != nullptr ? *given : "Task-" + std::to_string(number_);
}

void TaskCore::set_name(std::string_view name) { give_name(name); }

std::string TaskCore::description() const {
    static constexpr const char* kStates[] = {"pending", "finished", "failed", "cancelled"};
    std::string text = "<Task ";
    text += !done() && cancel_requests_ > 0 ? "cancelling" : kStates[static_cast<int>(state())];
    text += " name='" + name() + "'";
    if (wait_ != nullptr && !done()) text += std::string(" wait_for=") + wait_->what();
    text +=
        " created at " + std::string(created_.file_name()) + ":" + std::to_string(created_.line());
    return text + ">";
}

}  // namespace asyncio::task
