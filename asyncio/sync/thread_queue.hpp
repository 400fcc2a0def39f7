// SPDX-License-Identifier: MIT
//
// ThreadQueue: items from thread to thread, and from loop to loop.
//
//     asyncio::ThreadQueue<Job> jobs(64);
//     co_await jobs.put(std::move(job));      // in a task of any loop, in any thread
//     Job job = co_await jobs.get();
//     jobs.put_blocking(std::move(job));      // in a thread without a running loop
//     Job job = jobs.get_blocking();
//
// Otherwise a Queue: first in, first out, a limit (64 unless given; 0 or less: none), the nowait
// calls, shutdown(). Tasks and blocked threads stand in one line. An item wakes the first of it but
// is not set aside: who is cancelled, or runs out of time, leaves it to the next. Nothing is lost
// if a loop is closed under a get() or put().
//
// It costs a mutex, and a post to the other loop where a task waits; inside one loop use a Queue.
// A task whose loop does not run keeps its place in the line, and what it was woken for waits.
//
// Must not be destroyed while another thread may still use it. Who waits then gets
// std::logic_error, and it is logged; after shutdown() QueueShutDown, silently.
//
// Threads: any. Cancellation: as for a Queue.
#pragma once

#include <asyncio/base/time.hpp>
#include <asyncio/sync/item_store.hpp>
#include <asyncio/sync/thread_queue_core.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace asyncio {

namespace sync {

template <class T>
class ThreadGetAwaiter final : public ThreadQueueAwaiter {
  public:
    explicit ThreadGetAwaiter(ThreadQueueCore& core) noexcept
        : ThreadQueueAwaiter(core, Side::get, &item_) {}
    T await_resume() {
        finish();
        return std::move(*item_);
    }
    const char* what() const noexcept override { return "ThreadQueue.get()"; }

  private:
    std::optional<T> item_;
};

/// What get() returns; awaits as often as one likes.
template <class T>
class [[nodiscard]] ThreadGet : public coro::DriverAwaitable {
  public:
    explicit ThreadGet(ThreadQueueCore& core) noexcept : core_(&core) {}
    ThreadGetAwaiter<T> operator co_await() const noexcept { return ThreadGetAwaiter<T>(*core_); }

  private:
    ThreadQueueCore* core_;
};

class ThreadPutAwaiter final : public ThreadQueueAwaiter {
  public:
    ThreadPutAwaiter(ThreadQueueCore& core, void* item) noexcept
        : ThreadQueueAwaiter(core, Side::put, item) {}
    void await_resume() { finish(); }
    const char* what() const noexcept override { return "ThreadQueue.put()"; }
};

/// What put() returns: holds the item until there is room.
template <class T>
class [[nodiscard]] ThreadPut : public coro::DriverAwaitable {
  public:
    using AwaitedOnce = void;

    ThreadPut(ThreadQueueCore& core, T&& item) : core_(&core), item_(std::move(item)) {}
    ThreadPutAwaiter operator co_await() && noexcept { return ThreadPutAwaiter(*core_, &item_); }

  private:
    ThreadQueueCore* core_;
    T item_;
};

}  // namespace sync

template <class T>
class ThreadQueue final : public sync::ThreadQueueCore {
  public:
    using value_type = T;
    static constexpr std::ptrdiff_t kDefaultMaxsize = 64;

    explicit ThreadQueue(std::ptrdiff_t maxsize = kDefaultMaxsize) : ThreadQueueCore(maxsize) {}

    /// co_await it. Throws QueueShutDown, before or while it waits.
    sync::ThreadPut<T> put(T item) { return sync::ThreadPut<T>(*this, std::move(item)); }
    /// co_await it: the item. Throws QueueShutDown when shut down and empty.
    sync::ThreadGet<T> get() noexcept { return sync::ThreadGet<T>(*this); }

    /// Throws QueueFull, QueueShutDown.
    void put_nowait(T item) { transfer_now(Side::put, &item); }
    /// Throws QueueEmpty; QueueShutDown when shut down and empty.
    T get_nowait() {
        std::optional<T> item;
        transfer_now(Side::get, &item);
        return std::move(*item);
    }

    /// Block the thread while the queue is full. Throws QueueShutDown, or std::logic_error if a
    /// loop runs in this thread, which must not be blocked.
    void put_blocking(T item) { transfer_blocking(Side::put, &item, std::nullopt); }
    /// The same while it is empty.
    T get_blocking() {
        std::optional<T> item;
        transfer_blocking(Side::get, &item, std::nullopt);
        return std::move(*item);
    }
    /// The same for at most `limit`; nullopt if there was nothing in that time.
    std::optional<T> get_blocking(Duration limit) {
        std::optional<T> item;
        transfer_blocking(Side::get, &item, limit);
        return item;
    }

    /// No more puts; gets go on until the queue is empty. Whoever cannot go on, task or thread,
    /// gets QueueShutDown. `immediate`: drop the items. Not revocable.
    void shutdown(bool immediate = false) {
        sync::Ring<T> dropped;  // destroyed after the mutex is free
        const std::lock_guard lock(mutex());
        if (immediate) items_.swap(dropped);
        shut_down(immediate);
    }

  private:
    void transfer(Side side, void* slot) override {
        if (side == Side::put) {
            if (!items_.has_room()) items_.make_room();
            return items_.push(std::move(*static_cast<T*>(slot)));
        }
        const bool last_of_many = items_.last_of_many();
        items_.pop_front(*static_cast<std::optional<T>*>(slot));
        if (last_of_many) items_.release();
    }

    sync::Ring<T> items_;
};

}  // namespace asyncio
