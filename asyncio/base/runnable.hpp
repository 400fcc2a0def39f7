// SPDX-License-Identifier: MIT
//
// Runnable and RunQueue: the ready queue's element and the queue itself.
//
// A Runnable is anything the loop can run once: a task's next step, a callback, an expired timer's
// callback. The link lives in the element, so that making something ready never allocates. It has
// one function pointer instead of a vtable because a ready element also has to be discardable (a
// closed loop drops what is still queued without running it).
//
// Invariant: a Runnable is in at most one queue; who pushed it keeps it alive until it is run or
// discarded. This is in `base` because both the driver of coroutines and the loop build on it.
#pragma once

#include <cassert>

namespace asyncio {

class Runnable {
  public:
    enum class Turn : bool { run, discard };
    using Function = void (*)(Runnable&, Turn);

    explicit Runnable(Function function) noexcept : function_(function) {}
    Runnable(const Runnable&) = delete;
    Runnable& operator=(const Runnable&) = delete;

    void run() { function_(*this, Turn::run); }
    void discard() { function_(*this, Turn::discard); }

  protected:
    ~Runnable() = default;

  private:
    friend class RunQueue;
    Runnable* next_ = nullptr;
    Function function_;
};

/// FIFO of runnables.
class RunQueue {
  public:
    RunQueue() = default;
    RunQueue(const RunQueue&) = delete;
    RunQueue& operator=(const RunQueue&) = delete;

    bool empty() const noexcept { return first_ == nullptr; }

    void push(Runnable& runnable) noexcept {
        runnable.next_ = nullptr;
        if (first_ == nullptr)
            first_ = &runnable;
        else
            last_->next_ = &runnable;
        last_ = &runnable;
    }

    Runnable& pop() noexcept {
        assert(!empty());
        Runnable& runnable = *first_;
        first_ = runnable.next_;
        __builtin_prefetch(first_);  // in a crowd it is not in the CPU's cache
        return runnable;
    }

    /// Take all of `other`; REQUIRES: this queue is empty.
    void take(RunQueue& other) noexcept {
        assert(empty());
        first_ = other.first_;
        last_ = other.last_;
        other.first_ = nullptr;
    }

    /// Put all of `other` before what is here, keeping its order.
    void prepend(RunQueue& other) noexcept {
        if (other.empty()) return;
        other.last_->next_ = first_;
        if (first_ == nullptr) last_ = other.last_;
        first_ = other.first_;
        other.first_ = nullptr;
    }

  private:
    Runnable* first_ = nullptr;
    Runnable* last_ = nullptr;  // meaningful only while first_ is set
};

}  // namespace asyncio
