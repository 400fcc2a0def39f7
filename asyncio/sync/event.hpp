// SPDX-License-Identifier: MIT
//
// Event: a flag tasks can wait for.
//
//     asyncio::Event ready;
//     co_await ready.wait();          // in any number of tasks
//     ready.set();                    // all go on, in the order they began to wait
//
// wait() does not suspend while the flag is set. set() releases who waits now, even if clear()
// follows at once. A released waiter needs the event no more: it may be destroyed then.
//
// Threads: the loop's; from another one: loop.call_soon_threadsafe([&] { event.set(); }).
#pragma once

#include <asyncio/sync/wait_queue.hpp>

#include <string>

namespace asyncio {

class Event;

namespace sync {

class EventAwaiter final : public Waiter {
  public:
    explicit EventAwaiter(Event& event) noexcept : event_(event) {}

    bool await_ready() const noexcept;
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept;
    bool await_resume() {
        if (suspended()) {
            leave();
            driver_->throw_if_cancelled();
        }
        return true;
    }
    const char* what() const noexcept override { return "Event.wait()"; }

  private:
    void abandon() noexcept override;

    Event& event_;
};

class [[nodiscard]] EventWait : public coro::DriverAwaitable {
  public:
    explicit EventWait(Event& event) noexcept : event_(&event) {}
    EventAwaiter operator co_await() const noexcept { return EventAwaiter(*event_); }

  private:
    Event* event_;
};

}  // namespace sync

class Event {
  public:
    Event() noexcept : waiters_(bound_) {}

    bool is_set() const noexcept { return set_; }
    void set() noexcept {
        if (set_) return;
        set_ = true;
        if (!waiters_.empty()) waiters_.release_all();
    }
    void clear() noexcept { set_ = false; }
    /// co_await it: true, once the flag is set.
    sync::EventWait wait() noexcept { return sync::EventWait(*this); }

    /// One line for logs.
    std::string description() const;

  private:
    friend class sync::EventAwaiter;

    sync::LoopBound bound_;
    sync::WaitQueue waiters_;
    bool set_ = false;
};

namespace sync {

inline void EventAwaiter::abandon() noexcept { event_.waiters_.remove(*this); }
inline bool EventAwaiter::await_ready() const noexcept { return event_.set_; }
template <class P>
bool EventAwaiter::await_suspend(std::coroutine_handle<P> frame) noexcept {
    coro::Driver& driver = frame.promise().driver();
    return suspend(driver, driver, event_.waiters_);
}

}  // namespace sync
}  // namespace asyncio
