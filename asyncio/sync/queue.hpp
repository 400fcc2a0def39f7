// SPDX-License-Identifier: MIT
//
// Queue, PriorityQueue, LifoQueue: items from task to task.
//
//     asyncio::Queue<Job> jobs(64);               // at most 64 items; 0 or less: no limit
//     co_await jobs.put(std::move(job));          // waits while full
//     Job job = co_await jobs.get();              // waits while empty
//     jobs.task_done();  co_await jobs.join();    // until all that was put is dealt with
//     jobs.shutdown();                            // no more puts; gets until empty
//     auto items = jobs.items();                  // a consumer's loop until then
//     while (auto job = co_await items.next()) ...
//
// put() on a queue with room and get() on one with items do not suspend. A PriorityQueue gives the
// smallest first (by operator< or a comparator), the oldest of equals; a LifoQueue the newest.
// Items may be move-only.
//
// Give it a limit where producers can be faster than consumers: a queue without one grows as long
// as memory lasts.
//
// Threads: the loop's; between threads ThreadQueue. Cancellation: a cancelled get() leaves its item
// in the queue, a cancelled put() does not insert.
#pragma once

#include <asyncio/coro/coro.hpp>
#include <asyncio/sync/item_store.hpp>
#include <asyncio/sync/queue_core.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace asyncio {

namespace sync {

template <class Q>
class GetAwaiter final : QueueAwaiter {
  public:
    explicit GetAwaiter(Q& queue) noexcept : queue_(queue) {}
    bool await_ready() const noexcept { return queue_.can_get(); }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        return wait(queue_, QueueWaiter::Side::get, frame.promise().driver());
    }
    typename Q::value_type await_resume() {
        finish();
        return queue_.get_nowait();
    }

  private:
    Q& queue_;
};

/// What get() returns; awaits as often as one likes.
template <class Q>
class [[nodiscard]] Get : public coro::DriverAwaitable {
  public:
    explicit Get(Q& queue) noexcept : queue_(&queue) {}
    GetAwaiter<Q> operator co_await() const noexcept { return GetAwaiter<Q>(*queue_); }

  private:
    Q* queue_;
};

template <class Q>
class PutAwaiter final : QueueAwaiter {
  public:
    PutAwaiter(Q& queue, typename Q::value_type& item) noexcept : queue_(queue), item_(item) {}
    bool await_ready() const noexcept { return queue_.can_put(); }
    template <class P>
    bool await_suspend(std::coroutine_handle<P> frame) noexcept {
        return wait(queue_, QueueWaiter::Side::put, frame.promise().driver());
    }
    void await_resume() {
        finish();
        queue_.put_into_room(std::move(item_));
    }

  private:
    Q& queue_;
    typename Q::value_type& item_;  // in the Put, which outlives the await
};

/// What put() returns: holds the item until there is room.
template <class Q>
class [[nodiscard]] Put : public coro::DriverAwaitable {
    using T = typename Q::value_type;

  public:
    using AwaitedOnce = void;

    Put(Q& queue, T&& item) : queue_(&queue), item_(std::move(item)) {}
    PutAwaiter<Q> operator co_await() && noexcept { return PutAwaiter<Q>(*queue_, item_); }

  private:
    Q* queue_;
    T item_;
};

/// Async iteration over a queue, which must outlive it.
template <class Q>
class Items {
  public:
    explicit Items(Q& queue) noexcept : queue_(&queue) {}

    /// The next item, or nullopt when the queue is shut down and empty.
    ASYNCIO_CORO_WRAPPER Coro<std::optional<typename Q::value_type>> next() const {
        return next_of(queue_);
    }

  private:
    static Coro<std::optional<typename Q::value_type>> next_of(Q* queue) {
        std::optional<typename Q::value_type> item;
        try {
            item.emplace(co_await queue->get());
        } catch (const QueueShutDown&) {  // the end
        }
        co_return item;
    }

    Q* queue_;
};

/// The queue of T that keeps its items in a Store.
template <class T, class Store>
class BasicQueue : public QueueCore {
  public:
    using value_type = T;

    explicit BasicQueue(std::ptrdiff_t maxsize = 0) : QueueCore(maxsize) {}
    BasicQueue(std::ptrdiff_t maxsize, Store&& store)
        : QueueCore(maxsize), items_(std::move(store)) {}

    /// co_await it. Throws QueueShutDown, before or while it waits.
    Put<BasicQueue> put(T item) { return Put<BasicQueue>(*this, std::move(item)); }
    /// co_await it: the item. Throws QueueShutDown when shut down and empty.
    Get<BasicQueue> get() noexcept { return Get<BasicQueue>(*this); }

    /// while (auto item = co_await items.next()) ...: get() until the queue is shut down and empty.
    Items<BasicQueue> items() noexcept { return Items<BasicQueue>(*this); }

    /// Throws QueueFull, QueueShutDown.
    void put_nowait(T item) {
        check_can_put();
        put_into_room(std::move(item));
    }
    /// Throws QueueEmpty; QueueShutDown when shut down and empty.
    T get_nowait() {
        if (empty() || items_.last_of_many()) [[unlikely]]
            return get_seldom();
        T item = items_.pop();
        left();
        return item;
    }

    /// No more puts: they throw QueueShutDown, also those that wait. Gets go on until the queue is
    /// empty, then throw. `immediate`: drop the items, which then count as done. Not revocable.
    void shutdown(bool immediate = false) noexcept {
        if (!immediate) return shut_down(false);
        const auto dropped = items_.take_all();
        shut_down(true);  // before the items die: their destructors may look at the queue
    }

  private:
    friend class PutAwaiter<BasicQueue>;

    void put_into_room(T&& item) {
        if (is_shut_down() || !items_.has_room()) [[unlikely]]
            return put_seldom(std::move(item));
        items_.push(std::move(item));
        entered();
    }
    [[gnu::noinline]] void put_seldom(T&& item) {
        check_not_shut_down();
        try {
            items_.make_room();
        } catch (...) {
            stayed_out();
            throw;
        }
        put_into_room(std::move(item));
    }
    [[gnu::noinline]] T get_seldom() {
        check_can_get();
        T item = items_.pop();
        items_.release();
        left();
        return item;
    }

    Store items_;
};

}  // namespace sync

/// First in, first out.
template <class T>
class Queue : public sync::BasicQueue<T, sync::FifoStore<T>> {
  public:
    using sync::BasicQueue<T, sync::FifoStore<T>>::BasicQueue;
};

/// Last in, first out.
template <class T>
class LifoQueue : public sync::BasicQueue<T, sync::LifoStore<T>> {
  public:
    using sync::BasicQueue<T, sync::LifoStore<T>>::BasicQueue;
};

/// Smallest first; the oldest of equals.
template <class T, class Compare = sync::Smaller>
class PriorityQueue : public sync::BasicQueue<T, sync::Heap<T, Compare>> {
    using Base = sync::BasicQueue<T, sync::Heap<T, Compare>>;

  public:
    explicit PriorityQueue(std::ptrdiff_t maxsize = 0) : Base(maxsize) {}
    PriorityQueue(std::ptrdiff_t maxsize, Compare compare)
        : Base(maxsize, sync::Heap<T, Compare>(std::move(compare))) {}
};

}  // namespace asyncio
