// SPDX-License-Identifier: MIT
//
// wrap_future: a ConcurrentFuture as a Future of the running loop (or the one named).
//
//     int n = co_await asyncio::wrap_future(pool.submit(crunch, data));
//     int m = co_await pool.submit(crunch, data);                        // the same
//
// Two objects, one on each side. WrapCore is the loop's future. Bridge is shared by it and by a
// callback of the concurrent future, which posts to the loop:
//
//     waiting --> arrived      the post has come: the outcome is taken over
//        |------> cancelled    cancel(): passed on to the concurrent future; done at once
//        '------> abandoned    the loop closed
//
// While waiting, the WrapCore holds a reference to itself, which the transition drops; the bridge's
// pointer back is the loop thread's alone, and null afterwards. So the other thread never touches
// the loop's side, and a loop that is gone is simply not reached (asyncio ignores that, too).
//
// Cancelling: work that has not started never does; work that runs goes on, and its outcome is
// dropped. The awaiting task goes on at once in both cases.
//
// Threads: wrap_future() and the future are the loop's.
#pragma once

#include <asyncio/task/future.hpp>
#include <asyncio/thread/concurrent_future.hpp>

#include <source_location>

namespace asyncio {

namespace thread {

struct Bridge;

/// The loop's side, without the T.
class WrapCore : public task::FutureCore, public loop::Member {
  public:
    bool cancel(const std::string& message) final;
    const std::source_location* created_at() const noexcept final { return &created_; }

  protected:
    WrapCore(loop::Core& core, std::source_location created) noexcept
        : FutureCore(core), created_(created) {}
    ~WrapCore() override = default;

    /// Begin to wait for `source()`.
    void start();

  private:
    friend struct Bridge;

    virtual ConcurrentCore& source() noexcept = 0;
    /// Takes the value over, or gives the exception. May throw.
    virtual std::exception_ptr take_outcome() = 0;

    void arrived() noexcept;
    void loop_closed() noexcept final;
    void stop_waiting() noexcept;

    Shared<Bridge> bridge_;  // while waiting
    std::source_location created_;
};

template <class T>
class WrapState final : public task::WithResult<T, WrapCore> {
  public:
    /// `movable`: nobody else will ask `source` for its value.
    static Ref<task::FutureCore> make(EventLoop& loop, Shared<ConcurrentState<T>> source,
                                      bool movable, std::source_location created) {
        const Ref<WrapState> state(new WrapState(loop.core(), created));
        state->source_ = std::move(source);
        state->movable_ = movable;
        state->start();
        return Ref<task::FutureCore>(state);
    }
    ~WrapState() override { this->report_unretrieved(); }

  private:
    WrapState(loop::Core& core, std::source_location created)
        : task::WithResult<T, WrapCore>(core, created) {}

    ConcurrentCore& source() noexcept override { return *source_; }
    std::exception_ptr take_outcome() override {
        Outcome<T>& outcome = source_->outcome();
        if (!outcome) {
            std::exception_ptr error = outcome.error();
            // The other thread must not be the last to hold what is thrown here.
            if (movable_) outcome = Outcome<T>();
            return error;
        }
        if constexpr (task::IsCopyable<T>::value && !std::is_void_v<T>) {
            if (!movable_) {
                this->emplace_result(*outcome);
                return nullptr;
            }
        }
        if constexpr (std::is_void_v<T>)
            this->emplace_result();
        else
            this->emplace_result(std::move(*outcome));
        return nullptr;
    }

    Shared<ConcurrentState<T>> source_;
    bool movable_ = false;
};

}  // namespace thread

/// A value that can be copied is copied, so that others can ask for it, too.
template <class T>
Future<T> wrap_future(const ConcurrentFuture<T>& future, EventLoop& loop = get_running_loop(),
                      std::source_location where = std::source_location::current()) {
    loop.check_usable();
    return Future<T>(thread::WrapState<T>::make(loop, future.state(), false, where));
}

/// The handle was the last that will ask for the value: it is moved.
template <class T>
Future<T> wrap_future(ConcurrentFuture<T>&& future, EventLoop& loop = get_running_loop(),
                      std::source_location where = std::source_location::current()) {
    loop.check_usable();
    return Future<T>(thread::WrapState<T>::make(loop, future.state(), true, where));
}

/// A loop's future already: the same.
template <class T>
Future<T> wrap_future(Future<T> future) {
    return future;
}

template <class T>
auto ConcurrentFuture<T>::operator co_await() const& {
    return wrap_future(*this).operator co_await();
}
template <class T>
auto ConcurrentFuture<T>::operator co_await() && {
    return wrap_future(std::move(*this)).operator co_await();
}

}  // namespace asyncio
