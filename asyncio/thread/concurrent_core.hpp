// SPDX-License-Identifier: MIT
//
// ConcurrentCore: the state machine behind ConcurrentFuture<T>, without the T.
//
//     pending --> running --> result | error
//        |  '---------------> result | error | cancelled     work that is not of an executor
//        '--> cancelled       cancel() before the start
//
// One side completes it (an executor's thread, or a loop), any number of others look on. The
// completing side writes the outcome first and then calls complete(), which may come too late: then
// the future was cancelled meanwhile, and nobody will look at the outcome.
//
// Callbacks run once, in the thread that completes (or cancels), outside of the lock; those added
// later run at once in the thread that adds them.
//
// Threads: any.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/mutex.hpp>
#include <asyncio/base/option.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/base/unique_function.hpp>

#include <cstdint>
#include <vector>

namespace asyncio::thread {

class ConcurrentCore {
  public:
    enum class State : std::uint8_t { pending, running, result, error, cancelled };
    using Callback = UniqueFunction<void()>;

    ConcurrentCore() noexcept;
    ConcurrentCore(const ConcurrentCore&) = delete;
    ConcurrentCore& operator=(const ConcurrentCore&) = delete;
    virtual ~ConcurrentCore();

    State state() const noexcept;
    bool done() const noexcept { return state() >= State::result; }

    /// pending -> cancelled. True if it is cancelled now, whoever did it.
    bool cancel();
    /// pending -> running: whoever does the work begins. False if it must not.
    bool start() noexcept;
    /// False if it was done already: cancelled, that is.
    bool complete(State final);

    /// Block until done. False when `limit` passed before.
    bool wait(Option<Duration> limit = {});

    void add_done_callback(Callback callback);

  protected:
    /// It was cancelled before it ran: release what it would have needed.
    virtual void dropped() noexcept {}

  private:
    struct Waiter;  // a thread in wait(), on its stack

    bool finish(State final, State at_most);

    // Changed under the mutex, by std::atomic_ref: <atomic> is a heavy header.
    mutable State state_ = State::pending;
    std::mutex mutex_;
    IntrusiveList<Waiter> waiters_;
    std::vector<Callback> callbacks_;
};

}  // namespace asyncio::thread
