// SPDX-License-Identifier: MIT
//
// Inbox: the loop's only door for other threads. call_soon_threadsafe puts callables in, the loop
// takes them out in order.
//
// A post appends to a vector under a mutex and wakes the kernel only if the loop may be asleep; it
// allocates nothing but the vector's growth. The loop swaps the whole vector out and puts its
// entries into the ready queue; the next batch waits until the last of them had its turn. The
// handle is a number; it finds its entry by binary search, so posts need no node of their own.
//
// Sleep protocol (no lost wake-up): the loop stores `asleep`, then looks at `posted`; a poster
// stores `posted`, then looks at `asleep`; both sequentially consistent. So one sees the other.
//
// An entry's state: waiting -> running -> done, or waiting -> cancelled. Leaving `waiting` is a
// compare-exchange, so "cancelled before start" guarantees the callback does not run. cancel() and
// cancelled() from another thread block while the callback runs.
#pragma once

#include <asyncio/base/context.hpp>
#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/runnable.hpp>
#include <asyncio/base/unique_function.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace asyncio::loop {

class Inbox : public std::enable_shared_from_this<Inbox> {
  public:
    using Function = UniqueFunction<void()>;

    /// `wake` interrupts the loop's poll; `ready` is where batches enter.
    Inbox(RunQueue& ready, UniqueFunction<void()> wake);
    ~Inbox();

    /// Thread-safe. `function` will run in `context`. Returns the entry's number. Throws
    /// std::logic_error when closed.
    std::uint64_t post(Function function, ContextSlot context = {});

    /// The same for posts nobody cancels; false when closed.
    bool try_post(Function function) noexcept;

    /// From the loop's own thread: keeps its place among call_soon callbacks.
    std::uint64_t post_locally(Function function, ContextSlot context = {});

    /// Thread-safe, see ThreadsafeHandle.
    /// True if the entry will not run because of this call.
    bool cancel(std::uint64_t number);
    /// Return once entry `number` is not running (on another thread).
    void await_end(std::uint64_t number);

    /// The loop, before it blocks: false if something arrived, then it must not block.
    bool go_to_sleep() noexcept {
        asleep_.store(true, std::memory_order_seq_cst);
        if (!posted_.load(std::memory_order_seq_cst)) return true;
        asleep_.store(false, std::memory_order_relaxed);
        return false;
    }
    void wake_up() noexcept { asleep_.store(false, std::memory_order_relaxed); }
    bool has_posts() const noexcept { return posted_.load(std::memory_order_acquire); }

    /// The loop: make what arrived ready to run.
    void deliver();

    /// The loop: no more posts; drops what waits.
    void close();

    /// What an exception of a callback is given to.
    UniqueFunction<void()> on_exception;

  private:
    enum class State : std::uint8_t { waiting, running, done, cancelled };
    struct Entry final : Runnable {
        Entry(Inbox& owner, Inbox::Function f, ContextSlot c, std::uint64_t n)
            : Runnable(&take_turn),
              inbox(&owner),
              function(std::move(f)),
              context(std::move(c)),
              number(n) {}
        Entry(Entry&& other) noexcept  // not while it is in the ready queue
            : Runnable(&take_turn),
              inbox(other.inbox),
              function(std::move(other.function)),
              context(std::move(other.context)),
              number(other.number),
              state(other.state.load(std::memory_order_relaxed)) {}
        static void take_turn(Runnable& runnable, Turn turn);
        Inbox* inbox;
        Inbox::Function function;
        ContextSlot context;
        std::uint64_t number;
        std::atomic<State> state{State::waiting};
    };
    class Ticket;

    std::uint64_t put(Function& function, ContextSlot& context);
    Entry* find(std::uint64_t number);
    void leave_batch();
    void run_entry(Entry& entry);
    void drop_entry(Entry& entry);
    void await_end(std::unique_lock<std::mutex>& lock, std::uint64_t number);

    RunQueue& ready_;
    UniqueFunction<void()> wake_;
    std::atomic<bool> posted_{false};
    std::atomic<bool> asleep_{false};
    std::atomic<std::thread::id> runner_{};  // the thread that runs a callback now
    std::atomic<int> blocked_{0};            // threads in await_end()

    std::mutex mutex_;  // guards what follows; `batch_` is changed only by the loop, under it
    std::condition_variable ended_;
    std::vector<Entry> incoming_;
    std::vector<Entry> batch_;
    IntrusiveList<Ticket> tickets_;
    std::uint64_t next_number_ = 1;
    bool closed_ = false;

    std::size_t batch_left_ = 0;  // the loop's: entries of batch_ that did not have their turn
};

}  // namespace asyncio::loop
