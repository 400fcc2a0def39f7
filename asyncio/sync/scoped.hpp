// SPDX-License-Identifier: MIT
//
// Scoped<P>: holds a lock or a permit until the end of a block.
//
//     { auto held = co_await lock.scoped(); ... }        // Lock, Semaphore, Condition
//
// Releasing cannot suspend, so a destructor can do it. Movable; release() lets go early. A Scoped
// that outlives its lock holds nothing: when a loop closes, frames die in any order.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/taken.hpp>
#include <asyncio/coro/promise.hpp>

#include <exception>
#include <utility>

namespace asyncio {

namespace sync {

/// Logs what a release in a destructor threw: the lock was released by hand before. Silent if no
/// loop runs: a closed loop destroys frames that wait for a Condition, and hold nothing meanwhile.
void report_release(std::exception_ptr error) noexcept;

/// Who holds P through a Scoped; lets go of them when P dies.
template <class P>
class Holders;

}  // namespace sync

template <class P>
class [[nodiscard]] Scoped : private IntrusiveListNode<Scoped<P>> {
  public:
    /// REQUIRES: `held` was acquired by the caller.
    explicit Scoped(P& held) noexcept : held_(&held) { held_->holders_.add(*this); }
    Scoped(Scoped&& other) noexcept { take(other); }
    Scoped& operator=(Scoped&& other) noexcept {
        if (this != &other) {
            Scoped old(std::move(*this));
            take(other);
        }
        return *this;
    }
    ~Scoped() {
        if (held_ == nullptr) return;
        try {
            release();
        } catch (...) {
            sync::report_release(std::current_exception());
        }
    }

    /// False after release() or being moved from.
    explicit operator bool() const noexcept { return held_ != nullptr; }

    void release() {
        if (held_ == nullptr) return;
        this->unlink();
        taken(held_)->release();
    }

  private:
    friend class sync::Holders<P>;
    friend class IntrusiveList<Scoped>;

    void take(Scoped& other) noexcept {
        other.unlink();
        held_ = taken(other.held_);
        if (held_ != nullptr) held_->holders_.add(*this);
    }

    P* held_ = nullptr;
};

namespace sync {

template <class P>
class Holders {
  public:
    Holders() noexcept = default;
    ~Holders() {
        while (!list_.empty()) list_.pop_front().held_ = nullptr;
    }
    void add(Scoped<P>& scoped) noexcept { list_.push_back(scoped); }

  private:
    IntrusiveList<Scoped<P>> list_;
};

/// Acquires as A (an awaiter of P) does, and gives a Scoped.
template <class P, class A>
class ScopedAwaiter final : public A {
  public:
    using A::A;
    Scoped<P> await_resume() {
        A::await_resume();
        return Scoped<P>(this->acquired());
    }
};

/// What acquire() and scoped() return.
template <class P, class A>
class [[nodiscard]] Acquire : public coro::DriverAwaitable {
  public:
    explicit Acquire(P& target) noexcept : target_(&target) {}
    A operator co_await() const noexcept { return A(*target_); }

  private:
    P* target_;
};

}  // namespace sync
}  // namespace asyncio
