// SPDX-License-Identifier: MIT
#include <asyncio/task/task_group.hpp>

#include <stdexcept>
#include <string>
#include <utility>

namespace asyncio {

namespace task {

void GroupChild::join(TaskGroup& group, IntrusiveList<GroupChild>& list) noexcept {
    group_ = &group;
    list.push_back(*this);
    task_.add_waiter(*this);
}

void GroupChild::leave() noexcept {
    group_ = nullptr;
    IntrusiveListNode<GroupChild>::unlink();
    DoneWaiter::unlink();
}

FutureCore* GroupChild::awaiter() const noexcept {
    return group_ != nullptr ? &group_->parent_.core() : nullptr;
}

void GroupChild::take_turn(Runnable& runnable, Turn turn) {
    auto& self = static_cast<GroupChild&>(runnable);
    Ref<TaskCore> task(&self.task_);
    (void)task->drop_ref();  // the ready queue's
    self.IntrusiveListNode<GroupChild>::unlink();
    if (turn == Turn::run && self.group_ != nullptr) self.group_->child_done(*task);
}

}  // namespace task

TaskGroup::TaskGroup(TaskGroup&& other) : cancel_on_entry_(other.cancel_on_entry_) {
    if (other.entered_) throw std::logic_error("a TaskGroup cannot be moved after it was entered");
}

TaskGroup::~TaskGroup() {
    while (!children_.empty()) {
        const Ref<task::TaskCore> task(&children_.front().task());
        children_.front().leave();
        if (task->core().loop != nullptr && !task->core().loop->is_closed()) task->cancel({});
    }
}

const char* TaskGroup::refusal() const noexcept {
    if (!entered_) return "TaskGroup has not been entered";
    if (closing_ && children_.empty()) return "TaskGroup is finished";
    if (aborting_) return "TaskGroup is shutting down";
    return nullptr;
}

void TaskGroup::refuse(const char* why) { throw std::logic_error(why); }

void TaskGroup::enter() {
    if (entered_) throw std::logic_error("TaskGroup has already been entered");
    parent_ = current_task();
    if (!parent_) throw std::logic_error("TaskGroup cannot determine the parent task");
    baseline_ = parent_.task().cancel_due() ? 0 : parent_.cancelling();
    entered_ = true;
    if (cancel_on_entry_) cancel();
}

Coro<> TaskGroup::aenter() {
    enter();
    co_return;
}

void TaskGroup::abort() noexcept {
    aborting_ = true;
    children_.for_each([](task::GroupChild& child) { child.task().cancel({}); });
}

void TaskGroup::interrupt_parent() {
    if (std::exchange(parent_interrupted_, true)) return;
    parent_.cancel();
}

void TaskGroup::cancel() {
    if (!entered_) {
        cancel_on_entry_ = true;
        return;
    }
    if (closing_ && children_.empty()) return;
    if (!aborting_) abort();
    interrupt_parent();
}

void TaskGroup::child_done(task::TaskCore& task) {
    if (children_.empty()) last_child_done_.wake_all();
    if (task.cancelled()) return;
    std::exception_ptr error = task.exception();
    if (!error) return;
    if (!fatal_ && is_fatal(error)) fatal_ = error;
    if (parent_.done()) {
        ExceptionContext context;
        context.message = "a child of a TaskGroup failed after the group's task had ended";
        context.exception = error;
        context.task = task.name();
        task.loop().call_exception_handler(context);
        return;
    }
    errors_.push_back(std::move(error));
    if (aborting_) return;
    abort();
    interrupt_parent();
}

Coro<bool> TaskGroup::aexit(std::exception_ptr error) {
    closing_ = true;
    std::exception_ptr cancelled;
    bool by_others = false;  // `cancelled` is not of our making; otherwise it may be
    if (is_cancelled_error(error)) {
        cancelled = error;
        by_others = !parent_interrupted_;
    }
    if (error && !aborting_) abort();
    while (!children_.empty()) {
        try {
            co_await task::NextWake(last_child_done_);
        } catch (const CancelledError&) {
            if (!by_others) cancelled = std::current_exception();
            by_others = by_others || !parent_interrupted_;
            if (!aborting_) abort();
        }
    }
    const std::exception_ptr raised = close(error, std::move(cancelled));
    if (raised && raised != error) std::rethrow_exception(raised);
    co_return error && !raised;
}

/// All have ended: what the block ends with, or null.
std::exception_ptr TaskGroup::close(const std::exception_ptr& body_error,
                                    std::exception_ptr cancelled) {
    task::TaskCore& parent = parent_.task();
    if (parent_interrupted_) parent.uncancel();
    const bool others_cancel = parent.cancelling() > baseline_;
    if (parent_interrupted_ && !others_cancel) {
        cancelled = nullptr;
        parent.forget_cancel();  // the body ended before our request was delivered
    }
    if (!fatal_ && is_fatal(body_error)) fatal_ = body_error;
    if (fatal_) {
        report_unthrown();
        return fatal_;
    }
    if (body_error && !is_cancelled_error(body_error)) errors_.push_back(body_error);
    if (errors_.empty()) return cancelled;
    if (others_cancel) {  // it must not get lost behind the errors
        parent.uncancel();
        parent.cancel({});
    }
    return make_exception_group("unhandled errors in a TaskGroup", std::exchange(errors_, {}));
}

void TaskGroup::report_unthrown() {
    for (const std::exception_ptr& error : std::exchange(errors_, {})) {
        if (error == fatal_) continue;
        ExceptionContext context;
        context.message = "an error in a TaskGroup that ends with a fatal exception";
        context.exception = error;
        parent_.get_loop().call_exception_handler(context);
    }
}

}  // namespace asyncio
