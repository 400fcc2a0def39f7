// SPDX-License-Identifier: MIT
//
// Driver: the step loop that runs one chain of coroutines, and Wait: what such a chain waits for.
//
// A task is a Driver. Its coroutine awaits a second one, that a third: a chain. Only the innermost
// frame can run; the driver knows which that is, and resumes it. Awaiting a coroutine and returning
// from one do not call each other: they leave the next handle in the driver and return to its loop
// (a trampoline). So the stack does not grow, whatever the depth, the number of synchronous
// completions, the compiler or its flags. Symmetric transfer was rejected: GCC 12 makes it a tail
// call only when optimising and never under sanitizers.
//
// States of a driver, as seen between two resumptions:
//
//      resume_chain()            the innermost frame waits      wait's cause happened, or cancel()
//    runnable ------> running ------------------------> waiting ------------------> woken
//       ^                |                                                            |
//       |                '---> finished (the root returned or threw)                  |
//       '------------------------------- the loop pops it <--------------------------'
//
// While waiting, `wait_` names the Wait. Each Wait wakes its driver exactly once, through the ready
// queue. A request to cancel goes to Wait::cancel(): either the wait takes it over (returns true:
// it will wake the driver, and its await_resume will throw), or it is already over (returns false)
// and the driver's own `must_cancel` flag makes the resumed await throw. docs/cancellation.md tells
// the whole story.
//
// A resumption that leaves another frame innermost than it began with awaited or returned; the
// trampoline goes on. One that does not, and has neither a Wait nor finished, fell victim to
// GCC PR 106188 (or resumed by hand): that is reported at once with its creation site, since the
// only other outcome is a silent hang.
//
// Threads: a driver belongs to the thread of its loop.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/error.hpp>
#include <asyncio/base/made_exception.hpp>
#include <asyncio/base/runnable.hpp>
#include <asyncio/coro/turns.hpp>

#include <coroutine>
#include <cstdint>
#include <source_location>
#include <string>

namespace asyncio::coro {

class Driver;
class PromiseBase;

/// What a chain of coroutines waits for; lives in the awaiter, in the innermost frame.
class Wait {
  public:
    Wait() = default;
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;

    /// The driver wants to stop waiting. True: taken over, the driver will be woken and the await
    /// throws CancelledError. False: the wait is already over, the driver is or will be woken.
    virtual bool cancel(const std::string& message) noexcept = 0;

    /// The waiting frame is about to be destroyed. What has to be undone only then is undone here,
    /// not in a destructor: a resumed frame need not look whether there is something to undo.
    virtual void dropped() noexcept {}

    /// The driver this wait is about, when it waits for another task that is not done; null
    /// otherwise. Lets a cancel walk a long chain of tasks without recursion, and break a circle of
    /// them: the await may be resumed before that task is done, and then has to throw.
    virtual Driver* awaited_driver() noexcept { return nullptr; }

    /// What is waited for, for stack dumps: "sleep", "future", "receive".
    virtual const char* what() const noexcept = 0;

  protected:
    ~Wait() = default;
};

class Driver : public Runnable {
  public:
    explicit Driver(Turns& turns) noexcept : Runnable(&take_first_turn), turns_(&turns) {}

    // --- for Waits -------------------------------------------------------------------------

    /// The innermost frame suspends in `wait`.
    void suspend_in(Wait& wait) noexcept {
        assert(wait_ == nullptr);
        wait_ = &wait;
    }

    /// What the chain waited for has happened: resume it in the order of the ready queue.
    /// (Timers and futures push the driver themselves: it is a Runnable.)
    void wake() noexcept {
        assert(wait_ != nullptr);
        turns_->ready.push(*this);
    }

    /// The wait takes over a cancel request: the next resumption throws, whatever uncancel() does.
    void deliver_cancel(const std::string& message) {
        cancel_due_ |= kWaitCancelled;
        set_cancel_message(message);
    }

    /// Called by each Wait's await_resume: throws CancelledError if one is due.
    void throw_if_cancelled() {
        if (cancel_due()) [[unlikely]]
            throw_made(make_cancelled());
    }

    /// Another CancelledError is about to be thrown; it stands for this driver's, too.
    void forget_cancel() noexcept { cancel_due_ = 0; }

    bool cancel_due() const noexcept { return cancel_due_ != 0; }
    RunQueue& ready_queue() const noexcept { return turns_->ready; }

    // --- for promises ----------------------------------------------------------------------

    /// `promise` becomes the innermost frame and runs next.
    void run_next(PromiseBase& promise) noexcept;

    // --- for inspection --------------------------------------------------------------------

    const PromiseBase* innermost() const noexcept { return innermost_; }
    const Wait* waiting_for() const noexcept { return wait_; }

  protected:
    ~Driver() = default;

    /// Resume the innermost frame and whatever it leads to, until the chain waits (true) or the
    /// root frame has reached its end (false).
    bool resume_chain() noexcept;

    /// Destroy all frames, innermost first, without recursion.
    void destroy_chain() noexcept;

    virtual void set_cancel_message(const std::string& message) = 0;
    virtual const std::string& cancel_message() const noexcept = 0;
    /// The root frame has reached its end. A fatal exception leaves this.
    virtual void finish() = 0;
    /// It was cancelled before its first step; its frames are destroyed.
    virtual void end_unstarted() noexcept = 0;
    /// Debug mode: resume_chain(), and say so if that takes long.
    virtual bool resume_watched() noexcept = 0;

    /// Throw at the next resumption; uncancel() may revoke it.
    bool must_cancel() const noexcept { return (cancel_due_ & kMustCancel) != 0; }
    void set_must_cancel() noexcept { cancel_due_ |= kMustCancel; }
    void revoke_must_cancel() noexcept {
        cancel_due_ &= static_cast<unsigned char>(~unsigned{kMustCancel});
    }

    PromiseBase* innermost_ = nullptr;  // the root before the first step
    Wait* wait_ = nullptr;
    Turns* turns_;
    ContextSlot context_;

  private:
    friend struct Turns;
    friend void run_turns(Turns& turns, RunBatch& batch);

    static constexpr unsigned char kMustCancel = 1;
    static constexpr unsigned char kWaitCancelled = 2;  // by the wait; not revocable

    unsigned char cancel_due_ = 0;

    static void take_first_turn(Runnable& runnable, Turn turn);
    static void take_turn(Runnable& runnable, Turn turn);
    static bool begins(Runnable& runnable) noexcept;
    void step();
    void settle();
    MadeException<CancelledError> make_cancelled() noexcept;
    [[noreturn]] void report_phantom_suspension() const noexcept;
};

/// True if `runnable` is a driver whose first turn it is; from now on it is in the midst. False for
/// one that was cancelled before.
inline bool Driver::begins(Runnable& runnable) noexcept {
    if (!runnable.does(&take_first_turn)) return false;
    auto& self = static_cast<Driver&>(runnable);
    if (self.must_cancel()) [[unlikely]]
        return false;
    self.become(&take_turn);
    return true;
}

/// The chain has ended, or waits and was to be cancelled at its next wait.
inline void Driver::settle() {
    if (wait_ == nullptr)
        finish();
    else if (wait_->cancel(cancel_message()))
        revoke_must_cancel();
}

inline void Turns::enter(Driver& driver) noexcept {
    current_driver = &driver;
    *context = &driver.context_;
}

}  // namespace asyncio::coro
