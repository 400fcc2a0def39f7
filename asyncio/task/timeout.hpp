// SPDX-License-Identifier: MIT
//
// Timeout: a deadline for what a task does between enter() and leave().
//
// When it expires it cancels the task once; leave() takes that request back, and turns the
// CancelledError in flight into TimeoutError, provided nobody else cancelled the task, too.
//
//      created --enter()--> active --deadline--> expiring --leave()--> expired
//                             '------------------leave()-------------> finished
//
// Each scope owns exactly one cancel request and its own baseline of cancelling(), so scopes nest:
// when an outer one expired, too, the inner passes CancelledError on, and the outer reports.
//
//     co_await asyncio::timeout(1s, [&]() -> Coro<> { co_await slow(); });
//     co_await asyncio::with(asyncio::timeout(1s), [&](asyncio::Timeout& t) -> Coro<> { ... });
//
// For one awaitable use wait_for() (wait_for.hpp).
// Threads: the loop's.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/task/task.hpp>
#include <asyncio/task/with.hpp>

#include <cstdint>
#include <optional>

namespace asyncio {

class Timeout {
  public:
    /// nullopt: no deadline yet. Use timeout() and timeout_at().
    explicit Timeout(Option<TimePoint> when) noexcept : when_(when) {}
    Timeout(Timeout&& other);
    Timeout& operator=(Timeout&&) = delete;
    ~Timeout();

    /// std::logic_error outside a task, or the second time.
    void enter();
    /// `error` is what the scope is being left with, or null. Throws TimeoutError if the scope
    /// expired and `error` is the CancelledError that came of it.
    void leave(const std::exception_ptr& error);

    /// The deadline, if any.
    std::optional<TimePoint> when() const noexcept;
    /// Move the deadline; std::logic_error unless active. One that has passed fires in the next
    /// iteration.
    void reschedule(Option<TimePoint> when);
    bool expired() const noexcept { return state_ == State::expiring || state_ == State::expired; }

    // For with(): the scope as an async context manager.
    Coro<> aenter();
    Coro<bool> aexit(std::exception_ptr error);

  private:
    enum class State : std::uint8_t { created, active, expiring, expired, finished };

    void expire() noexcept;

    State state_ = State::created;
    Option<TimePoint> when_;
    AnyTask task_;
    Handle timer_;
    std::uint32_t baseline_ = 0;
};

/// A scope that expires `delay` from now (from this call). Needs a running loop.
Timeout timeout(Option<Duration> delay);
Timeout timeout_at(Option<TimePoint> when);

/// with(timeout_at(when), body): run `body` and give its result; TimeoutError if it takes longer.
template <class Body>
ASYNCIO_CORO_WRAPPER auto timeout_at(Option<TimePoint> when, Body&& body) {
    using Held = std::decay_t<Body>;
    task::check_body<Held, Timeout>();
    return task::with_manager<Timeout, Held>(timeout_at(when), std::forward<Body>(body));
}
/// with(timeout(delay), body).
template <class Body>
ASYNCIO_CORO_WRAPPER auto timeout(Option<Duration> delay, Body&& body) {
    using Held = std::decay_t<Body>;
    task::check_body<Held, Timeout>();
    return task::with_manager<Timeout, Held>(timeout(delay), std::forward<Body>(body));
}

}  // namespace asyncio
