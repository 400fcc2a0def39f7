// SPDX-License-Identifier: MIT
//
// ThreadQueueCore: who waits for a ThreadQueue, tasks and threads in one line; all but the items.
//
//                 woken by an item, room       its turn: takes the item
//      waiting --------------------------> woken ------------------------> settled
//       |   ^                                | '-- finds nothing: waits again, in its old place
//       |   '--------------------------------'
//       '--- cancel(), timeout: settled, without an item       the queue dies: orphaned
//
// A woken task is posted to its loop as a turn. The turn looks for the item, takes it under the
// mutex, and resumes the task in the same breath: so no cancellation can come between the taking
// and the await's return. A waiter is in one of two lists, waiting or woken, as long as it is not
// settled; all of it but what is marked as its own is guarded by the mutex.
//
// Posting to the loop of a listed waiter is safe: a loop that closes destroys the frame, which has
// to leave the list first, under the mutex.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/mutex.hpp>
#include <asyncio/base/option.hpp>
#include <asyncio/base/time.hpp>
#include <asyncio/coro/promise.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>

namespace asyncio {

class EventLoop;

namespace sync {

class ThreadQueueCore;

class ThreadQueueWaiter : public IntrusiveListNode<ThreadQueueWaiter> {
  public:
    enum class Side : bool { get, put };

  protected:
    enum class State : std::uint8_t { idle, waiting, woken, settled };

    ThreadQueueWaiter(ThreadQueueCore& core, Side side, void* slot) noexcept
        : core_(&core), slot_(slot), side_(side) {}
    ~ThreadQueueWaiter() = default;

    /// Called under the mutex, from any thread. Who waits has left the line before it is destroyed.
    virtual void wake() noexcept = 0;

    /// Throws what went wrong instead of the transfer.
    void check() const;

    ThreadQueueCore* core_;  // null once the queue is gone
    State state_ = State::idle;

  private:
    friend class ThreadQueueCore;

    void* slot_;  // where the item comes from or goes to
    std::exception_ptr error_;
    std::uint64_t ticket_ = 0;
    const Side side_;
    bool shut_down_ = false;
};

/// A task that gets or puts.
class ThreadQueueAwaiter : public coro::Wait, private ThreadQueueWaiter, private Runnable {
  public:
    using ThreadQueueWaiter::Side;

    bool await_ready() const noexcept { return false; }  // see await_suspend, under the mutex
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        return suspend(frame.promise().driver());
    }

    bool cancel(const std::string& message) noexcept override;
    void dropped() noexcept override;

  protected:
    ThreadQueueAwaiter(ThreadQueueCore& core, Side side, void* slot) noexcept
        : ThreadQueueWaiter(core, side, slot), Runnable(&take_turn) {}
    /// For await_resume.
    void finish();

  private:
    static void take_turn(Runnable& runnable, Turn turn);
    bool suspend(coro::Driver& driver) noexcept;
    void turn();
    void wake() noexcept override;

    coro::Driver* driver_ = nullptr;  // set when it suspended
    EventLoop* loop_ = nullptr;
};

class ThreadQueueCore {
  public:
    ThreadQueueCore(const ThreadQueueCore&) = delete;
    ThreadQueueCore& operator=(const ThreadQueueCore&) = delete;

    std::ptrdiff_t maxsize() const noexcept { return maxsize_; }
    /// What these say may be out of date when the caller reads it.
    std::size_t qsize() const;
    bool empty() const { return qsize() == 0; }
    bool full() const { return qsize() >= limit_; }

    /// One line for logs.
    std::string description() const;

  protected:
    using Side = ThreadQueueWaiter::Side;
    using Waiter = ThreadQueueWaiter;

    explicit ThreadQueueCore(std::ptrdiff_t maxsize) noexcept;
    ~ThreadQueueCore();

    /// Move an item between the store and `slot`. Under the mutex.
    virtual void transfer(Side side, void* slot) = 0;

    /// Throws QueueEmpty, QueueFull, QueueShutDown.
    void transfer_now(Side side, void* slot);
    /// Block the thread until it is done. False: `limit` has passed. Throws QueueShutDown;
    /// std::logic_error if it would block a running loop.
    bool transfer_blocking(Side side, void* slot, Option<Duration> limit);
    /// Under the mutex. `discarded_all`: the store was emptied.
    void shut_down(bool discarded_all) noexcept;

    std::mutex& mutex() const noexcept { return mutex_; }

  private:
    friend class ThreadQueueAwaiter;
    class BlockedThread;
    struct Leaving;
    using List = IntrusiveList<ThreadQueueWaiter>;

    List& waiting(Side side) noexcept { return side == Side::get ? getters_ : putters_; }
    bool try_transfer(Waiter& waiter);
    bool settle(Waiter& waiter) noexcept;
    void join(Waiter& waiter) noexcept;
    void wait_again(Waiter& waiter) noexcept;
    void leave(Waiter& waiter) noexcept;
    void wake_next(Side side) noexcept;
    void wake_all(Side side) noexcept;
    bool possible(Side side) const noexcept;
    void orphan(List& list, std::size_t& count) noexcept;

    mutable std::mutex mutex_;  // guards what follows, and the items
    std::size_t size_ = 0;
    const std::size_t limit_;
    const std::ptrdiff_t maxsize_;
    bool shut_down_ = false;
    mutable List getters_;
    mutable List putters_;
    mutable List woken_;
    std::uint64_t tickets_ = 0;
    std::size_t blocked_threads_ = 0;
    Leaving* leaving_ = nullptr;  // set by the destructor, which waits for blocked threads
};

}  // namespace sync
}  // namespace asyncio
