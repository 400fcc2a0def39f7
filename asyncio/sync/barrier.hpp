// SPDX-License-Identifier: MIT
//
// Barrier: n tasks wait for each other, round after round.
//
//     asyncio::Barrier barrier(3);
//     int i = co_await barrier.wait();          // 0, 1, 2 in the order of arrival
//
//      filling --the n-th arrives--> draining --all are out--> filling
//         |  '-----reset()---------> resetting ----"--------->    |
//         '--------abort()---------> broken ----reset()-----------'
//
// The last to arrive does not suspend and leaves first. Who comes while a round drains or a reset
// clears the barrier is held back; when the last is out, those held back enter the next round in
// their order, before any newcomer. Whoever has not left yet when reset() or abort() is called
// fails with BrokenBarrierError, even if it was released already; as long as the barrier is broken
// newcomers fail, too. Cancelling a waiting task just takes it out of the round. The indices are
// given when the round is complete, so they are distinct whoever left before.
//
// Threads: the loop's.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/sync/wait_queue.hpp>

#include <stdexcept>
#include <string>

namespace asyncio {

class Barrier;

/// The barrier was reset or aborted under a wait().
class BrokenBarrierError final : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

namespace sync {

class BarrierAwaiter final : public Waiter {
  public:
    explicit BarrierAwaiter(Barrier& barrier) noexcept : barrier_(&barrier) {}

    bool await_ready() noexcept;
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        return suspend_in_barrier(frame.promise().driver());
    }
    int await_resume();

    bool cancel(const std::string& message) noexcept override;
    const char* what() const noexcept override { return "Barrier.wait()"; }

  private:
    friend class asyncio::Barrier;

    bool suspend_in_barrier(coro::Driver& driver) noexcept;
    void step_out() noexcept;
    void abandon() noexcept override;

    Barrier* barrier_;     // null once that is gone
    int index_ = -1;       // -1: the round is not complete
    bool inside_ = false;  // counted; otherwise held back
    bool failed_ = false;
};

class [[nodiscard]] BarrierWait : public coro::DriverAwaitable {
  public:
    explicit BarrierWait(Barrier& barrier) noexcept : barrier_(&barrier) {}
    BarrierAwaiter operator co_await() const noexcept { return BarrierAwaiter(*barrier_); }

  private:
    Barrier* barrier_;
};

}  // namespace sync

class Barrier {
  public:
    /// std::invalid_argument if parties < 1.
    explicit Barrier(int parties);
    ~Barrier();

    /// co_await it: the index of arrival, 0 to parties - 1. Throws BrokenBarrierError.
    sync::BarrierWait wait() noexcept { return sync::BarrierWait(*this); }

    /// Who waits fails; then the barrier is empty and filling again. Mends a broken one.
    void reset() noexcept;
    /// Who waits fails, and who comes, until reset().
    void abort() noexcept;

    int parties() const noexcept { return parties_; }
    /// How many have arrived; 0 unless filling.
    int n_waiting() const noexcept { return state_ == State::filling ? inside_ : 0; }
    bool broken() const noexcept { return state_ == State::broken; }

    // For with(): waits on entry, which gives the index; nothing on exit.
    Coro<int> aenter();
    Coro<bool> aexit(std::exception_ptr);

    /// One line for logs.
    std::string description() const;

  private:
    friend class sync::BarrierAwaiter;
    enum class State : std::uint8_t { filling, draining, resetting, broken };

    bool complete() const noexcept { return inside_ == parties_; }
    void release() noexcept;
    void step_out() noexcept;
    void admit() noexcept;

    template <class Visit>
    static void each(sync::WaitQueue& queue, Visit&& visit);

    const int parties_;
    int inside_ = 0;  // arrived and not left yet
    State state_ = State::filling;
    sync::LoopBound bound_;
    sync::WaitQueue arrived_;
    sync::WaitQueue held_back_;
};

}  // namespace asyncio
