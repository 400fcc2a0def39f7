// SPDX-License-Identifier: MIT
//
// LoopBound: which loop a lock, event or queue belongs to.
//
// As in asyncio nobody says so: the first task that has to wait binds the object to its loop, for
// good. A task of another loop that would have to wait later gets a std::logic_error which names
// both. What never waits is not bound, and may be used by one loop after the other.
//
// Threads: none of this is thread-safe; the check is there to say so where it can.
#pragma once

#include <asyncio/base/ref.hpp>
#include <asyncio/coro/driver.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <string>

namespace asyncio::sync {

class LoopBound {
  public:
    LoopBound() noexcept = default;
    LoopBound(const LoopBound&) = delete;
    LoopBound& operator=(const LoopBound&) = delete;

    /// True if `driver` may wait here: it is of our loop, or there was none yet.
    bool admits(coro::Driver& driver) noexcept { return is_bound_to(driver) || bind(driver); }
    bool is_bound_to(coro::Driver& driver) const noexcept {
        return core_ && &core_->ready == &driver.ready_queue();
    }
    /// Where those who wait become ready. REQUIRES: somebody was admitted.
    RunQueue& ready() const noexcept { return core_->ready; }
    /// Says which loop was bound and which one `driver` is of.
    [[noreturn]] void throw_foreign(const char* what, coro::Driver& driver) const;

    /// The loop, or null: not bound yet, or gone.
    EventLoop* loop() const noexcept { return core_ ? core_->loop : nullptr; }

  private:
    bool bind(coro::Driver& driver) noexcept;

    Ref<loop::Core> core_;
};

}  // namespace asyncio::sync
