// SPDX-License-Identifier: MIT
//
// shield: await something without cancelling it when the waiting task is cancelled.
//
//     int s = co_await asyncio::wait_for(asyncio::shield(task), 1s);   // the task goes on
//
// Gives a future of its own. Cancelling that leaves the inner one running; cancelling the inner one
// cancels it. If the shield was cancelled and the inner one fails later, nobody awaits that
// failure, so it is reported to the exception handler, once however many shields there were. A
// future that is done already is returned itself. A coroutine becomes a task.
#pragma once

#include <asyncio/task/ensure_future.hpp>
#include <asyncio/task/task.hpp>

namespace asyncio {

namespace task {

/// The future a shield gives, without the result's type.
class ShieldCore : public FutureCore {
  public:
    bool cancel(const std::string& message) final;

    /// REQUIRES: `inner` is pending.
    void watch(Ref<FutureCore> inner) noexcept;

  protected:
    explicit ShieldCore(loop::Core& core) noexcept : FutureCore(core) {}
    ~ShieldCore() override;

    FutureCore& inner() const noexcept { return *inner_; }
    virtual void copy_result() = 0;

  private:
    /// Stands among the inner future's waiters; runs when that is done.
    class InnerDone final : public Runnable, public DoneWaiter {
      public:
        explicit InnerDone(ShieldCore& owner) noexcept
            : Runnable(&take_turn), DoneWaiter(static_cast<Runnable&>(*this)), shield(owner) {}
        void scheduled(FutureCore&) noexcept override { shield.add_ref(); }  // the ready queue's

        FutureCore* awaiter() const noexcept override { return &shield; }

        ShieldCore& shield;

      private:
        static void take_turn(Runnable& runnable, Turn turn);
    };

    void inner_done();

    Ref<FutureCore> inner_;
    InnerDone waiter_{*this};
};

template <class T>
class ShieldState final : public WithResult<T, ShieldCore> {
  public:
    explicit ShieldState(loop::Core& core) : WithResult<T, ShieldCore>(core) {}

  private:
    void copy_result() override {
        if constexpr (!std::is_void_v<T>) this->emplace_result(take_result<T>(this->inner()));
    }
};

}  // namespace task

template <Awaitable A>
auto shield(A&& awaitable) {
    using T = AwaitResult<A>;
    EventLoop* loop = task::loop_of(awaitable);
    if (loop == nullptr) loop = &get_running_loop();
    Ref<task::FutureCore> inner = task::ensure_future(*loop, std::forward<A>(awaitable));
    if (inner->done()) return Future<T>(std::move(inner));
    Ref<task::ShieldState<T>> outer(new task::ShieldState<T>(loop->core()));
    outer->watch(std::move(inner));
    return Future<T>(Ref<task::FutureCore>(std::move(outer)));
}

/// Says what is wrong.
template <class A>
    requires(!Awaitable<A>)
auto shield(A&&) {
    static_assert(coro::kNever<A>, "shield needs a coroutine, task, future or other awaitable");
}

}  // namespace asyncio
