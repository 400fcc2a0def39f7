// SPDX-License-Identifier: MIT
#include <asyncio/task/task_core.hpp>

#include <atomic>

#include <asyncio/loop/slow_report.hpp>

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

}  // namespace

TaskCore::~TaskCore() { destroy_chain(); }

void TaskCore::start(coro::PromiseBase& root, std::string_view name) {
    number_ = next_task_number();
    root.become_root(*this);
    innermost_ = &root;
    if (!name.empty()) set_name(name);
    add_ref();  // the loop's, until done
    loop().members().push_back(*this);
    core().ready.push(*this);
}

void TaskCore::take_turn(Runnable& runnable, Turn turn) {
    if (turn == Turn::run) static_cast<TaskCore&>(runnable).step();
}

void TaskCore::step() {
    if (must_cancel_ && !started_) {
        must_cancel_ = false;
        destroy_chain();
        end_cancelled(nullptr);
        return;
    }
    started_ = true;
    EventLoop& loop = *core().loop;
    {
        const loop::SlowReport report(loop, "task step");
        loop.current_driver = this;
        resume_chain();
        loop.current_driver = nullptr;
    }
    if (finished_)
        finish();
    else if (must_cancel_ && wait_->cancel(message()))
        must_cancel_ = false;
}

void TaskCore::finish() {
    std::exception_ptr error = take_outcome(*innermost_, must_cancel_);
    destroy_chain();
    if (!error && !must_cancel_) {
        complete_with_result();
        leave_loop();
    } else if (!error || is_cancelled_error(error)) {
        must_cancel_ = false;  // it cancelled itself, then returned: the value is lost
        end_cancelled(std::move(error));
    } else {
        const bool fatal = is_fatal(error);
        complete_with_error(error);
        leave_loop();
        if (fatal) std::rethrow_exception(error);
    }
}

void TaskCore::end_cancelled(std::exception_ptr error) noexcept {
    complete_cancelled(std::move(error));
    leave_loop();
}

/// The loop lets go; this may be the end of the object.
void TaskCore::leave_loop() noexcept {
    loop::Member::unlink();
    if (drop_ref()) destroy();
}

void TaskCore::loop_closed() noexcept {
    if (report_if_destroyed_pending_) {
        ExceptionContext context;
        context.message = "Task was destroyed but it is pending!";
        fill_context(context);
        core().loop->call_exception_handler(context);
    }
    destroy_chain();
    abandon_waiters();
    if (drop_ref()) destroy();
}

bool TaskCore::cancel(const std::string& message) {
    mark_retrieved();
    if (done()) return false;
    TaskCore* task = this;
    for (;;) {
        ++task->cancel_requests_;
        coro::Driver* inner = task->wait_ != nullptr ? task->wait_->awaited_driver() : nullptr;
        if (inner == nullptr) break;
        task = from(inner);  // not done: it takes the request over
        task->mark_retrieved();
    }
    if (task->wait_ != nullptr && task->wait_->cancel(message)) return true;
    task->must_cancel_ = true;
    task->set_message(message);
    return true;
}

std::uint32_t TaskCore::uncancel() noexcept {
    if (cancel_requests_ > 0 && --cancel_requests_ == 0) must_cancel_ = false;
    return cancel_requests_;
}

std::string TaskCore::name() const {
    return name_ ? *name_ : "Task-" + std::to_string(number_);
}

void TaskCore::set_name(std::string_view name) {
    name_ = std::make_unique<std::string>(name);
}

std::string TaskCore::description() const {
    static constexpr const char* kStates[] = {"pending", "finished", "failed", "cancelled"};
    std::string text = "<Task ";
    text += !done() && cancel_requests_ > 0 ? "cancelling" : kStates[static_cast<int>(state())];
    text += " name='" + name() + "'";
    if (wait_ != nullptr && !done()) text += std::string(" wait_for=") + wait_->what();
    text += " created at " + std::string(created_.file_name()) + ":" +
            std::to_string(created_.line());
    return text + ">";
}

}  // namespace asyncio::task
