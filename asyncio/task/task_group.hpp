// SPDX-License-Identifier: MIT
//
// TaskGroup: tasks that live and die together.
//
//     co_await asyncio::with(asyncio::TaskGroup(), [&](asyncio::TaskGroup& tg) -> Coro<> {
//         auto t1 = tg.create_task(step(1));
//         auto t2 = tg.create_task(step(2), {.name = "second"});
//         co_return;
//     });
//
// The block ends when the body and all children have ended. The first failure (of a child or of the
// body; being cancelled is none) aborts the group: every child is cancelled, the body is
// interrupted at its await, new children are refused; when all have ended, all errors are thrown
// together as an ExceptionGroup, the children's in the order in which they came, the body's last. A
// FatalException is thrown bare; the other errors then go to the exception handler.
//
//     created --aenter()--> open --aexit()--> closing --no child alive--> finished
//                             '------- aborting, once, from open or closing
//
// Cancelling the parent aborts the group, too, and the CancelledError passes when all have ended.
// If there are errors they are thrown instead, and the cancellation is delivered at the parent's
// next await. The group interrupts the body by a cancel request of its own, which it takes back:
// the parent's cancelling() is the same before and after. Requests that were there when the group
// was entered, and already delivered, are none of its business (in Python they would interrupt the
// parent once more: docs/differences.md).
//
// The children's nodes lie in the tasks: a child costs one allocation, its end is a node put into
// the ready queue. Finished children are forgotten at once.
//
// Threads: the loop's. A group can be moved until it is entered.
#pragma once

#include <asyncio/base/exception_group.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/wait_list.hpp>

#include <exception>
#include <vector>

namespace asyncio {

class TaskGroup;

namespace task {

/// A task's membership in its group: told when the task has ended, through the ready queue.
class GroupChild final : public Runnable, public DoneWaiter, public IntrusiveListNode<GroupChild> {
  public:
    explicit GroupChild(TaskCore& owner) noexcept
        : Runnable(&take_turn), DoneWaiter(static_cast<Runnable&>(*this)), task_(owner) {}

    void join(TaskGroup& group, IntrusiveList<GroupChild>& list) noexcept;
    /// The group goes away before the task has ended.
    void leave() noexcept;
    TaskCore& task() const noexcept { return task_; }

    void scheduled(FutureCore&) noexcept override { task_.add_ref(); }  // the ready queue's
    void abandoned() noexcept override { IntrusiveListNode<GroupChild>::unlink(); }
    FutureCore* awaiter() const noexcept override;  // the group's parent

  private:
    static void take_turn(Runnable& runnable, Turn turn);

    TaskCore& task_;
    TaskGroup* group_ = nullptr;
};

/// A task that knows its group.
template <class T>
class GroupTaskState final : public TaskState<T> {
  public:
    GroupTaskState(loop::Core& core, std::source_location created)
        : TaskState<T>(core, created), child(*this) {}

    GroupChild child;
};

}  // namespace task

class TaskGroup {
  public:
    TaskGroup() noexcept = default;
    /// std::logic_error after it was entered.
    TaskGroup(TaskGroup&& other);
    TaskGroup& operator=(TaskGroup&&) = delete;
    /// Children that are left (the block was never left properly) are cancelled and let go.
    ~TaskGroup();

    /// Start a child, as asyncio::create_task() starts a task. std::logic_error if the group was
    /// not entered, is shutting down, or is finished; the coroutine is then dropped.
    template <Awaitable A>
    auto create_task(A&& awaitable, TaskOptions options = {},
                     std::source_location where = std::source_location::current()) {
        return start(task::as_coro(std::forward<A>(awaitable)), options, where);
    }
    template <class F, class A1 = NotGiven, class A2 = NotGiven, class A3 = NotGiven,
              class A4 = NotGiven, class A5 = NotGiven, class A6 = NotGiven>
        requires(!Awaitable<F> && !std::is_same_v<std::remove_cvref_t<A1>, TaskOptions>)
    auto create_task(F&& f, A1&& a1 = NotGiven(nullptr), A2&& a2 = NotGiven(nullptr),
                     A3&& a3 = NotGiven(nullptr), A4&& a4 = NotGiven(nullptr),
                     A5&& a5 = NotGiven(nullptr), A6&& a6 = NotGiven(nullptr),
                     std::source_location where = std::source_location::current()) {
        const auto begin = [&]<class T>(Coro<T>&& coro) {
            return start(std::move(coro), TaskOptions(), where);
        };
        return with_given(task::TaskCall<decltype(begin), F>{begin, f}, std::forward<A1>(a1),
                          std::forward<A2>(a2), std::forward<A3>(a3), std::forward<A4>(a4),
                          std::forward<A5>(a5), std::forward<A6>(a6));
    }
    template <class F>
        requires(!Awaitable<F>)
    auto create_task(F&& f, TaskOptions options,
                     std::source_location where = std::source_location::current()) {
        const auto begin = [&]<class T>(Coro<T>&& coro) {
            return start(std::move(coro), options, where);
        };
        return task::TaskCall<decltype(begin), F>{begin, f}();
    }

    /// Cancel the children and the body; the block then ends without an exception, unless there
    /// were failures. Before aenter: as soon as it is entered. After the end: nothing. Idempotent.
    void cancel();

    /// std::logic_error outside a task, or the second time.
    Coro<> aenter();
    Coro<bool> aexit(std::exception_ptr error);

  private:
    friend task::GroupChild;

    template <class T>
    Task<T> start(Coro<T>&& coro, TaskOptions options, std::source_location where);
    const char* refusal() const noexcept;
    [[noreturn]] static void refuse(const char* why);
    void enter();
    void abort() noexcept;
    void interrupt_parent();
    void child_done(task::TaskCore& task);
    std::exception_ptr close(const std::exception_ptr& body_error, std::exception_ptr cancelled);
    void report_unthrown();

    IntrusiveList<task::GroupChild> children_;
    task::WaitList last_child_done_;
    AnyTask parent_;
    std::vector<std::exception_ptr> errors_;
    std::exception_ptr fatal_;
    std::uint32_t baseline_ = 0;  // the parent's requests that are none of ours
    bool entered_ = false;
    bool closing_ = false;
    bool aborting_ = false;
    bool parent_interrupted_ = false;  // by a cancel request that we have to take back
    bool cancel_on_entry_ = false;
};

template <class T>
Task<T> TaskGroup::start(Coro<T>&& coro, TaskOptions options, std::source_location where) {
    if (const char* why = refusal()) {
        if (coro.valid()) const coro::FrameOwner dropped(&coro.release());
        refuse(why);
    }
    EventLoop& loop = parent_.get_loop();
    loop.check_usable();
    Ref<task::GroupTaskState<T>> state(new task::GroupTaskState<T>(loop.core(), where));
    coro::PromiseBase& root = coro.release();
    state->child.join(*this, children_);  // before its first step, which may already look at us
    state->start(root, options);
    if (aborting_) state->cancel({});
    return Task<T>(Ref<task::FutureCore>(std::move(state)));
}

}  // namespace asyncio
