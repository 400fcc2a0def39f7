// SPDX-License-Identifier: MIT
//
// TaskCore: a future that drives a coroutine; everything about Task<T> that needs no T.
//
// Ownership: the loop holds one reference while the task is not done, so a task cannot disappear.
// The root frame belongs to the task and is destroyed the moment its result has been moved out.
//
// Cancellation, asyncio's state machine. `cancel_requests_` counts cancel() minus uncancel().
// cancel() on a task
//   that waits          goes to the wait. If the wait takes it over, nothing else is recorded. If
//                       the wait is over already (its wake-up is queued), must_cancel is set and
//                       the resumed await throws instead of returning.
//   that has not begun  sets must_cancel: the body never runs.
//   that is running     sets must_cancel: the next real suspension is cancelled at once, and if
//                       there is none before the return, the task ends cancelled.
// A wait for another task passes the request on to that task; a chain of any length is walked in a
// loop, not recursively. uncancel() to zero revokes must_cancel, not what a wait has taken over.
//
// Invariant: while not done, the task is either in the ready queue, or running, or waiting.
//
// An eager task makes its first step inside start(), as the current task; what it throws is stored
// as ever, only a fatal exception leaves start(). If that step ends it, it is never scheduled.
//
// Context variables: the coroutine runs, and dies, in the task's context, and reports about the
// task are made there. It is a copy of the creator's, or what the creator gave.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/option.hpp>
#include <asyncio/coro/coro.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/task/future_core.hpp>

#include <source_location>
#include <string>
#include <string_view>

namespace asyncio {

struct TaskOptions {
    std::string_view name = {};     // default: "Task-N"
    ContextView context = {};       // shared; default: a copy of the creator's
    Option<bool> eager_start = {};  // default: as the loop's task factory says
};

namespace task {

class TaskCore : public FutureCore, public loop::Member, public coro::Driver {
  public:
    bool cancel(const std::string& message) final;
    std::uint32_t cancelling() const noexcept { return cancel_requests_; }
    std::uint32_t uncancel() noexcept;

    std::string name() const;
    void set_name(std::string_view name);
    const std::source_location& created() const noexcept { return created_; }

    coro::Driver* driver() noexcept final { return this; }
    ContextSlot* context_slot() noexcept final { return &context_; }
    std::string description() const final;

    /// For tasks the library makes for itself: closing the loop under them is no news.
    void do_not_report_pending() noexcept { report_if_destroyed_pending_ = false; }

    /// The context it runs in; from now on one with an identity.
    Context context() { return context_.share(); }

    /// Bind the coroutine and schedule the first step; or run it now, if it starts eagerly and
    /// this thread runs the loop.
    void start(coro::PromiseBase& root, const TaskOptions& options);

    static TaskCore* from(coro::Driver* driver) noexcept { return static_cast<TaskCore*>(driver); }

  protected:
    TaskCore(loop::Core& core, std::source_location created) noexcept
        : FutureCore(core), Driver(core), created_(created) {}
    ~TaskCore() override;

    /// Move the root's value into place (or drop it), or return its exception.
    virtual std::exception_ptr take_outcome(coro::PromiseBase& root, bool drop) noexcept = 0;

  private:
    void begin(const TaskOptions& options);
    void step_eagerly();
    void finish() override;
    void end_unstarted() noexcept override { end_cancelled(nullptr); }
    bool resume_watched() noexcept override;
    void end_cancelled(std::exception_ptr error) noexcept;
    void leave_loop() noexcept;
    void report_pending() noexcept;
    void loop_closed() noexcept override;
    void set_cancel_message(const std::string& message) final { set_message(message); }
    const std::string& cancel_message() const noexcept final { return message(); }

    std::source_location created_;
};

template <class T>
class TaskState : public WithResult<T, TaskCore> {
  public:
    TaskState(loop::Core& core, std::source_location created)
        : WithResult<T, TaskCore>(core, created) {}

  private:
    std::exception_ptr take_outcome(coro::PromiseBase& root, bool drop) noexcept override {
        Outcome<T>& outcome = static_cast<coro::Promise<T>&>(root).outcome();
        if (!outcome || drop) return outcome.error();
        try {
            if constexpr (!std::is_void_v<T>) this->emplace_result(std::move(*outcome));
        } catch (...) {
            return std::current_exception();
        }
        return nullptr;
    }
};

}  // namespace task
}  // namespace asyncio
