// SPDX-License-Identifier: MIT
//
// What a loop shares with those who live on it: its Core, which outlives it, and two lists they may
// stand in.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/ref.hpp>
#include <asyncio/coro/driver.hpp>
#include <asyncio/coro/turns.hpp>

namespace asyncio {

class EventLoop;

namespace loop {

/// What a loop shares with the futures and tasks bound to it.
struct Core final : RefCounted, coro::Turns {
    void destroy() noexcept { delete this; }

    EventLoop* loop = nullptr;  // null once the loop is gone
    bool closed = false;        // or being closed: nothing becomes ready any more
};

/// Something to do once, just before the next poll; for output that was buffered meanwhile.
class PollHook : public IntrusiveListNode<PollHook> {
  public:
    virtual void before_poll() noexcept = 0;

  protected:
    ~PollHook() = default;
};

/// When the iteration is over, the traces of errors are (coro/error_trace.hpp).
class TraceEnd final : public PollHook {
  public:
    void before_poll() noexcept override;
};

/// Something that lives on a loop and must hear of its end: a task, a gather in progress.
class Member : public IntrusiveListNode<Member> {
  public:
    /// The loop closes under it. Already unlinked.
    virtual void loop_closed() noexcept = 0;
    /// Its driver, if it is one.
    virtual coro::Driver* driver() noexcept { return nullptr; }

  protected:
    ~Member() = default;
};

}  // namespace loop
}  // namespace asyncio
