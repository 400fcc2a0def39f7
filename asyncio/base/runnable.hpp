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
    /// True if `function` is what its turns do.
    bool does(Function function) const noexcept { return function_ == function; }

  protected:
    ~Runnable() = default;

    /// What its turns do from now on.
    void become(Function function) noexcept { function_ = function; }

  private:
    friend class RunQueue;
    friend class RunBatch;
    Runnable* next_ = nullptr;  // meaningful when another one is queued behind
    Function function_;
};

/// FIFO of runnables. `end_` is where the next one is linked in: no branch on the way. The last
/// one's link is not written, `end_` tells that it is the last: stores are what a switch between
/// tasks consists of.
class RunQueue {
  public:
    RunQueue() noexcept = default;
    RunQueue(const RunQueue&) = delete;
    RunQueue& operator=(const RunQueue&) = delete;

    bool empty() const noexcept { return end_ == &first_; }

    void push(Runnable& runnable) noexcept {
        *end_ = &runnable;
        end_ = &runnable.next_;
    }

    Runnable& pop() noexcept {
        assert(!empty());
        Runnable& runnable = *first_;
        if (end_ == &runnable.next_)
            end_ = &first_;
        else
            first_ = runnable.next_;
        return runnable;
    }

    /// Put `runnable` before what is here.
    void push_front(Runnable& runnable) noexcept {
        if (empty())
            end_ = &runnable.next_;
        else
            runnable.next_ = first_;
        first_ = &runnable;
    }

  private:
    friend class RunBatch;

    Runnable* first_ = nullptr;  // meaningful unless empty
    Runnable** end_ = &first_;   // the last one's link, or first_
};

/// All that a queue held at one moment, on its way out; what is left at the end goes back to the
/// queue's front. Its pointers can stay in registers while what it holds is run.
class RunBatch {
  public:
    explicit RunBatch(RunQueue& queue) noexcept
        : queue_(queue), first_(queue.empty() ? nullptr : queue.first_), end_(queue.end_) {
        queue.end_ = &queue.first_;
    }
    RunBatch(const RunBatch&) = delete;
    RunBatch& operator=(const RunBatch&) = delete;
    ~RunBatch() {
        if (empty()) return;
        if (queue_.empty())
            queue_.end_ = end_;
        else
            *end_ = queue_.first_;
        queue_.first_ = first_;
    }

    bool empty() const noexcept { return first_ == nullptr; }
    Runnable& pop() noexcept {
        assert(!empty());
        Runnable& runnable = *first_;
        first_ = end_ == &runnable.next_ ? nullptr : runnable.next_;
        if (first_ != nullptr) __builtin_prefetch(first_);  // in a crowd it is not in the cache
        return runnable;
    }

  private:
    RunQueue& queue_;
    Runnable* first_;
    Runnable** const end_;  // the last one's link
};

}  // namespace asyncio
