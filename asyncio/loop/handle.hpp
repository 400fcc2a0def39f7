// SPDX-License-Identifier: MIT
//
// Handle and TimerHandle: what call_soon, call_later and call_at return, and the callback node
// behind them.
//
// One node per callback, from the frame pool, holding the callable itself. It is kept alive by the
// handles to it and by the ready queue or timer queue it stands in. cancel() releases the callable
// at once (unless it is running), and the node is skipped when its turn comes.
//
// The callback runs in a copy of the context it was scheduled in, or in the Context that was given.
//
// Threads: the loop's. For other threads see call_soon_threadsafe in event_loop.hpp.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/ref.hpp>
#include <asyncio/base/runnable.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/coro/frame_pool.hpp>
#include <asyncio/loop/timer_queue.hpp>

#include <cstdint>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

namespace asyncio {

class EventLoop;

namespace loop {

class CallbackNode : public Runnable, public RefCounted {
  public:
    struct Ops {
        void (*call)(CallbackNode&);
        void (*drop_callable)(CallbackNode&) noexcept;
        void (*free)(CallbackNode&) noexcept;
    };

    void cancel() noexcept;
    bool cancelled() const noexcept { return cancelled_; }
    void destroy() noexcept {
        drop_callable();
        ops_->free(*this);
    }

    /// Null for call_soon callbacks.
    Timer* timer() noexcept { return timer_; }

    /// What it runs in.
    ContextSlot& context() noexcept { return context_; }
    void run_in(const Context& context) noexcept { context_ = ContextSlot(context); }

  protected:
    CallbackNode(EventLoop& loop, const Ops& ops, Timer* timer) noexcept
        : Runnable(&take_turn),
          loop_(&loop),
          ops_(&ops),
          timer_(timer),
          context_(ContextSlot::copy_current()) {}
    ~CallbackNode() = default;

  private:
    static void take_turn(Runnable& runnable, Turn turn);
    void run_callback();
    void drop_callable() noexcept;

    EventLoop* loop_;
    const Ops* ops_;
    Timer* timer_;
    ContextSlot context_;
    bool cancelled_ = false;
    bool running_ = false;
    bool has_callable_ = true;
};

/// CallbackNode with its callable F; Timed: with its timer, too.
template <class F, bool Timed>
class Callback final : public CallbackNode {
    struct NoTimer {
        explicit NoTimer(Runnable&) noexcept {}
    };
    using TimerOrNot = std::conditional_t<Timed, Timer, NoTimer>;

  public:
    static Callback* make(EventLoop& loop, F&& f) {
        void* memory = coro::FramePool::allocate(sizeof(Callback));
        try {
            return ::new (memory) Callback(loop, std::move(f));
        } catch (...) {
            coro::FramePool::deallocate(memory, sizeof(Callback));
            throw;
        }
    }

    F& callable() noexcept { return callable_; }

  private:
    Callback(EventLoop& loop, F&& f)
        : CallbackNode(loop, kOps, pointer_to(timer_storage_)), timer_storage_(*this) {
        ::new (static_cast<void*>(&callable_)) F(std::move(f));
    }
    ~Callback() {}

    static Timer* pointer_to(Timer& timer) noexcept { return &timer; }
    static Timer* pointer_to(NoTimer&) noexcept { return nullptr; }

    static void call(CallbackNode& node) { static_cast<Callback&>(node).callable_(); }
    static void drop(CallbackNode& node) noexcept { static_cast<Callback&>(node).callable_.~F(); }
    static void free(CallbackNode& node) noexcept {
        auto& self = static_cast<Callback&>(node);
        self.~Callback();
        coro::FramePool::deallocate(&self, sizeof(Callback));
    }
    static constexpr Ops kOps = {&call, &drop, &free};

    [[no_unique_address]] TimerOrNot timer_storage_;
    union {
        F callable_;
    };
};

/// `f` with its arguments moved in, as one callable.
template <class F, class... Args>
auto bind_arguments(F&& f, Args&&... args) {
    if constexpr (sizeof...(Args) == 0) {
        return std::decay_t<F>(std::forward<F>(f));
    } else {
        return
            [fn = std::decay_t<F>(std::forward<F>(f)),
             arguments = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)]() mutable {
                std::apply(fn, std::move(arguments));
            };
    }
}

}  // namespace loop

/// A scheduled callback. Copyable; dropping it does not cancel.
class Handle {
  public:
    Handle() noexcept = default;
    explicit Handle(Ref<loop::CallbackNode> node) noexcept : node_(std::move(node)) {}

    /// The callback will not run, and is released now. Idempotent; no effect once it ran.
    void cancel() noexcept {
        if (node_) node_->cancel();
    }
    bool cancelled() const noexcept { return node_ && node_->cancelled(); }

    /// The context the callback runs in. REQUIRES: the handle is not empty.
    Context get_context() const { return node_->context().share(); }
    /// Run in `context`, shared, instead of a copy of the one it was scheduled in.
    void run_in(const Context& context) const noexcept { node_->run_in(context); }

    friend bool operator==(const Handle&, const Handle&) noexcept = default;

  protected:
    Ref<loop::CallbackNode> node_;
};

/// A callback with a deadline.
class TimerHandle : public Handle {
  public:
    using Handle::Handle;

    /// The absolute deadline on the loop's clock.
    TimePoint when() const noexcept { return node_->timer()->when(); }
};

}  // namespace asyncio
