// SPDX-License-Identifier: MIT
//
// FutureCore: the state machine behind Future<T> and Task<T>, without the T.
//
//     pending --> result | error | cancelled          never back
//
// Completing moves every waiter's target to the loop's ready queue, in the order the waiters came;
// nothing runs inside the completing call. Waiters are nodes in the awaiting frames (FutureAwaiter)
// or small objects of their own (done callbacks): waking allocates nothing.
//
// Reference counting is not atomic: a future and its handles belong to the thread of its loop.
// The loop itself holds one reference to each task that is not done.
//
// The core does not keep the loop alive, but its Core: see loop::Core.
#pragma once

#include <asyncio/base/error.hpp>
#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/owned.hpp>
#include <asyncio/base/ref.hpp>
#include <asyncio/coro/error_trace.hpp>
#include <asyncio/coro/frame_pool.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <exception>
#include <source_location>
#include <string>
#include <string_view>

namespace asyncio::task {

class FutureCore;

/// Someone who wants to know that a future is done: `target` becomes ready then.
class DoneWaiter : public IntrusiveListNode<DoneWaiter> {
  public:
    DoneWaiter() noexcept = default;
    explicit DoneWaiter(Runnable& target) noexcept : target_(&target) {}

    Runnable& target() const noexcept { return *target_; }
    void set_target(Runnable& target) noexcept { target_ = &target; }

    /// Just before the target becomes ready. Already unlinked; may delete itself.
    virtual void scheduled(FutureCore&) noexcept {}
    /// The future will never be done. Already unlinked; may delete itself.
    virtual void abandoned() noexcept {}
    /// For inspection: the task or future that waits through this node; null for a callback.
    virtual FutureCore* awaiter() const noexcept { return nullptr; }

  protected:
    ~DoneWaiter() = default;

  private:
    Runnable* target_ = nullptr;
};

class FutureCore : public RefCounted {
  public:
    enum class State : std::uint8_t { pending, result, error, cancelled };

    static void* operator new(std::size_t size) { return coro::FramePool::allocate(size); }
    static void operator delete(void* memory, std::size_t size) noexcept {
        coro::FramePool::deallocate(memory, size);
    }
    void destroy() noexcept { delete this; }

    State state() const noexcept { return state_; }
    bool done() const noexcept { return state_ != State::pending; }
    bool cancelled() const noexcept { return state_ == State::cancelled; }

    loop::Core& core() const noexcept { return *core_; }
    /// Throws std::logic_error when the loop is gone.
    EventLoop& loop() const;

    /// Ask for cancellation. False if done already.
    virtual bool cancel(const std::string& message);

    /// The exception, or null; CancelledError or InvalidStateError are thrown. Marks it retrieved.
    std::exception_ptr exception();
    /// Throw unless there is a result. Marks an exception retrieved.
    void require_result() {
        if (state_ != State::result) [[unlikely]]
            throw_no_result();
    }

    void add_waiter(DoneWaiter& waiter) noexcept { waiters_.push_back(waiter); }
    bool is_awaited() const noexcept { return !waiters_.empty(); }
    template <class Visit>
    void for_each_waiter(Visit&& visit) {
        waiters_.for_each(visit);
    }
    void mark_retrieved() noexcept { unretrieved_ = false; }

    // For those who complete futures.
    void require_pending() const;
    /// What raises the cancellation of a cancelled future.
    std::exception_ptr cancelled_error() const;
    void complete_with_result() noexcept { complete(State::result); }
    void complete_with_error(std::exception_ptr error) noexcept;
    /// `error`: the CancelledError to raise, or null to make one from the message.
    void complete_cancelled(std::exception_ptr error) noexcept {
        error_ = std::move(error);
        complete(State::cancelled);
    }
    void set_message(const std::string& message);
    const std::string& message() const noexcept;
    /// The name it was given, or null.
    const std::string* given_name() const noexcept;
    void give_name(std::string_view name);
    /// What its error passed through, innermost first; null if it has none.
    const coro::ErrorTrace* error_trace() const noexcept {
        return story_ ? story_->trace.get() : nullptr;
    }

    /// Where the result stands; null for void. Meaningful in State::result.
    virtual void* result_address() noexcept { return nullptr; }
    /// The task behind this future, or null.
    virtual coro::Driver* driver() noexcept { return nullptr; }
    /// What the task behind this future runs in, or null.
    virtual ContextSlot* context_slot() noexcept { return nullptr; }
    /// Where it was created, or null.
    virtual const std::source_location* created_at() const noexcept { return nullptr; }
    /// One line for logs and errors.
    virtual std::string description() const;

  protected:
    explicit FutureCore(loop::Core& core) noexcept : core_(&core) {}
    virtual ~FutureCore() {
        report_unretrieved();
        abandon_waiters();
    }

    void abandon_waiters() noexcept {
        if (!waiters_.empty()) [[unlikely]]
            abandon_all_waiters();
    }
    void fill_context(ExceptionContext& context) const;
    /// Report an exception nobody retrieved, once. For the destructors of classes that describe
    /// themselves: later their description is gone.
    void report_unretrieved() noexcept {
        if (unretrieved_) [[unlikely]]
            report_unretrieved_now();
    }

  private:
    /// What few futures have.
    struct Story {
        std::string message;            // of the cancellation
        std::string name;               // of a task,
        bool named = false;             // if it was given one
        Owned<coro::ErrorTrace> trace;  // of the error
    };
    Story& story();

    void complete(State state) noexcept {
        assert(state_ == State::pending);
        state_ = state;
        if (!waiters_.empty()) schedule_waiters();
    }
    void report_unretrieved_now() noexcept;
    void report_exception();
    void abandon_all_waiters() noexcept;
    void schedule_waiters() noexcept;
    void keep_trace() noexcept;
    void offer_trace() const;
    [[noreturn]] void throw_no_result();
    [[noreturn]] void throw_cancelled() const;

    State state_ = State::pending;
    bool unretrieved_ = false;  // holds an exception nobody has looked at

  protected:
    // A task's, kept here because they fit into the padding.
    bool report_if_destroyed_pending_ = true;
    std::uint32_t cancel_requests_ = 0;  // cancel() minus uncancel()
    std::uint32_t number_ = 0;           // of the default name

  private:
    Ref<loop::Core> core_;
    IntrusiveList<DoneWaiter> waiters_;
    std::exception_ptr error_;
    Owned<Story> story_;
};

/// FutureCore with room for a T.
template <class T, class Base = FutureCore>
class WithResult : public Base {
  public:
    template <class... Args>
    explicit WithResult(Args&&... args) : Base(std::forward<Args>(args)...) {}
    ~WithResult() override {
        if (this->state() == FutureCore::State::result) result_.~T();
    }

    template <class... Args>
    void emplace_result(Args&&... args) {
        ::new (static_cast<void*>(&result_)) T(std::forward<Args>(args)...);
    }
    void* result_address() noexcept override { return &result_; }

  private:
    union {
        T result_;
    };
};

template <class Base>
class WithResult<void, Base> : public Base {
  public:
    using Base::Base;
    void emplace_result() noexcept {}
};

}  // namespace asyncio::task
