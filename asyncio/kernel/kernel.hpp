// SPDX-License-Identifier: MIT
//
// Kernel: the one interface between the loop and the operating system. Two backends stand behind
// it, io_uring (completions) and epoll (readiness turned into completions); a third, simulated or
// with virtual time, is for tests. The loop cannot tell them apart.
//
// Rules that every backend keeps, and that the kernel_*test.cpp check on each:
//   K1  submit() never calls the operation's callback. It either finishes the operation at once
//       and returns false (the result stands in inline_result, no callback follows), or returns
//       true, and every completion comes from within wait().
//   K2  A submitted operation gets exactly one completion with more == false, also when submitting
//       it to the system failed and when it was cancelled. The destructor takes all operations
//       back instead, as reclaim() does: they are idle, and no callback runs.
//   K3  cancel() is a request. A result that won the race is delivered, never dropped.
//   K4  A completion that nobody owns any more (a late one for a recycled slot) is disposed of:
//       an accepted descriptor is closed, a buffer goes back to its ring. A close that is
//       reclaimed is made: its descriptor has no other owner.
//   K5  Callbacks may submit, cancel and reclaim any operation, and may destroy their own
//       operation when the completion was final.
//   K6  Within one wait() the completions of one descriptor come input first, then output.
//   K7  wake() may be called from any thread and from signal handlers; it makes the current or
//       the next wait() return. Wakes coalesce.
//
// After fork() the child must not use its copy: wait() and attach_to_thread() throw
// std::logic_error there, submit() answers -EOWNERDEAD, wake() does nothing, destroying it is safe,
// and the parent notices none of it.
//
// A kernel is destroyed by the thread it is attached to, or when nothing is in flight.
#pragma once

#include <asyncio/base/time.hpp>
#include <asyncio/kernel/backend.hpp>
#include <asyncio/kernel/operation.hpp>

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace asyncio::kernel {

class Kernel {
  public:
    virtual ~Kernel() = default;

    virtual std::string_view name() const noexcept = 0;

    /// The loop's clock. Monotonic.
    virtual TimePoint now() noexcept { return Clock::now(); }

    /// Timers wake the loop on multiples of this, so that many of them share a wake-up. Never
    /// early; late by this at most: a tick of the timers' wheel, 1.05 ms (asyncio and tokio: 1 ms).
    /// 100,000 sleeps over one second cost 7 us of CPU each with a wake-up per timer, about 1 us
    /// with this, spawning included.
    virtual Duration timer_grid() const noexcept { return Duration(1 << 20); }

    /// Called by the thread that is about to run the loop. A backend bound to a thread rebinds;
    /// std::logic_error when operations are in flight on another thread's ring.
    virtual void attach_to_thread() = 0;

    /// Start `operation`. True: in flight. False: finished inline, see `inline_result`. noexcept:
    /// a failure of the system call is a result (-errno) like any other.
    [[nodiscard]] virtual bool submit(Operation& operation) noexcept = 0;

    /// Ask a submitted operation to end. Idempotent; a no-op for idle ones.
    virtual void cancel(Operation& operation) noexcept = 0;

    /// Take `operation` back at once: cancels it and waits inside the call until the system holds
    /// nothing of it. No callback runs; a result that won the race is disposed of (K4). For
    /// destructors; bounded by the time the system needs to answer the cancel. Other operations'
    /// completions that arrive meanwhile are kept for the next wait().
    virtual void reclaim(Operation& operation) noexcept = 0;

    /// The same for an accept: the descriptors it had accepted and not delivered are the caller's.
    [[nodiscard]] virtual std::vector<int> reclaim_accept(Operation& operation) noexcept {
        reclaim(operation);
        return {};
    }

    /// Forget everything known of `fd` and close it. REQUIRES: no operation on it in flight.
    virtual void close(int fd) noexcept = 0;

    /// True if wait(0) could find something: a cheap look at memory where that is possible. The
    /// loop skips polling between two generations of ready handles when it is false.
    virtual bool may_have_events() const noexcept = 0;

    /// Submit what is queued, wait up to `timeout` (zero: look only; nullopt: for ever) for at
    /// least one completion, then call the callbacks of all that arrived. Returns early when
    /// woken or interrupted by a signal. Never early by its own clock while nothing happened.
    virtual void wait(std::optional<Duration> timeout) = 0;

    /// Thread- and signal-safe: see K7.
    virtual void wake() noexcept = 0;

    /// Operations in flight (the wake-up channel not counted).
    virtual std::size_t in_flight() const noexcept = 0;
};

/// A kernel of the wanted kind. `automatic` falls back silently to epoll when io_uring is refused
/// (EPERM, ENOSYS, ENOMEM, EMFILE, ...); an explicit Backend::io_uring that cannot be had throws
/// std::system_error. With ASYNCIO_BACKEND=epoll no io_uring system call is ever made.
std::unique_ptr<Kernel> make_kernel(Backend backend = Backend::automatic);

}  // namespace asyncio::kernel
