// SPDX-License-Identifier: MIT
//
// Inbox: the loop's only door for other threads. call_soon_threadsafe puts callables in, the loop
// takes them out in order.
//
// A post appends to a vector under a mutex; it allocates nothing but the vector's growth. The loop
// swaps the whole vector out, as one batch that takes one place in the ready queue and is run from
// front to back; the next batch waits until that is through. What was run is cleared when the next
// batch comes, so a batch takes the mutex once. The handle is two numbers, the inbox's and an
// index: posts need no node of their own, and nobody counts handles.
//
// What a post costs is memory that travels between two cores, and atomic instructions, which wait
// until the stores before them have got their lines. Entries lie in a row for the reading
// core's prefetch, and the writing one asks for them ahead of time; what posters write and what the
// loop looks at for each entry are in different lines. A list of nodes, the usual lock-free queue,
// has as many atomic instructions and more such misses.
//
// Sleep protocol (no lost wake-up): the loop stores `asleep`, then looks at `posted`; the first
// poster after a delivery stores `posted`, then looks at `asleep`; both sequentially consistent. So
// one sees the other. He wakes the kernel once, after he left the mutex, which the woken loop wants
// next; close() waits for wakers, since the kernel may go after it.
//
// A post that must not fail (a result on its way: others wait for it) brings a Place, which was
// made when its work began and there was memory. It is used when the vector cannot grow; what is in
// places runs behind the batch that it is delivered with. Without a place such a post waits for
// memory, which is for threads that nobody waits for, never for the loop's.
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

class Inbox : public std::enable_shared_from_this<Inbox>, private IntrusiveListNode<Inbox> {
    friend class IntrusiveList<Inbox>;

  public:
    using Function = UniqueFunction<void()>;

    /// `wake` interrupts the loop's poll; `ready` is where batches enter.
    Inbox(RunQueue& ready, UniqueFunction<void()> wake);
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;
    ~Inbox();

    /// Thread-safe. Inbox `id`, null if it is gone.
    static std::shared_ptr<Inbox> find(std::uint64_t id);
    std::uint64_t id() const noexcept { return id_; }

    /// Thread-safe. `function` will run in `context`. Returns the entry's number. Throws
    /// std::logic_error when closed.
    std::uint64_t post(Function&& function, ContextSlot&& context = {});

    /// Room for one post.
    class Place : private IntrusiveListNode<Place> {
        friend class Inbox;
        friend class IntrusiveList<Place>;
        Function function_;
    };

    /// The same for posts nobody cancels; false when closed. Waits for memory, if there is none,
    /// without a bound: not for the loop's own thread.
    bool try_post(Function function);
    /// The same, and needs no memory. `place` has to live until the function has been called or
    /// dropped: it belongs to what the function keeps alive. For one post at a time.
    bool try_post(Function function, Place& place) noexcept;

    /// From the loop's own thread: keeps its place among call_soon callbacks.
    std::uint64_t post_locally(Function&& function, ContextSlot&& context = {});

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

    /// The loop: what a fatal exception left of a batch comes before all else that is ready.
    void put_back_unfinished() noexcept {
        if (batch_interrupted_) [[unlikely]]
            put_back();
    }

    /// The loop: no more posts; drops what waits.
    void close();

    /// What an exception of a callback is given to.
    UniqueFunction<void()> on_exception;

  private:
    /// The numbers of tickets begin here; below are those of entries in vectors.
    static constexpr std::uint64_t kFirstTicket = std::uint64_t{1} << 63;

    enum class State : std::uint8_t { waiting, running, done, cancelled };
    struct Entry {
        Entry(Function&& f, ContextSlot&& c) noexcept
            : function(std::move(f)), context(std::move(c)) {}
        Entry(Entry&& other) noexcept  // while it is among incoming_
            : function(std::move(other.function)),
              context(std::move(other.context)),
              state(other.state.load(std::memory_order_relaxed)) {}
        Function function;
        ContextSlot context;
        std::atomic<State> state{State::waiting};
    };
    class Ticket;

    /// The batch's place in the ready queue.
    class BatchTurn final : public Runnable {
      public:
        explicit BatchTurn(Inbox& inbox) noexcept : Runnable(&take_turn), inbox_(inbox) {}

      private:
        static void take_turn(Runnable& runnable, Turn turn);
        Inbox& inbox_;
    };

    std::uint64_t put(Function& function, ContextSlot& context);
    bool announce() noexcept;
    void wake_loop();
    void run_places(Runnable::Turn turn);
    Entry* entry_of(std::uint64_t number);
    void run_batch(Runnable::Turn turn);
    void put_back() noexcept;
    void run_entry(Entry& entry);
    void drop_entry(Entry& entry);
    void await_end(std::unique_lock<std::mutex>& lock, std::uint64_t number);

    static constexpr std::size_t kCacheLine = 64;
    /// Entries ahead of the one being written that the poster's core asks for: the loop's had them.
    static constexpr std::size_t kAhead = 4;

    // What posters write: in lines of its own, because the loop looks at the rest for each entry.
    alignas(kCacheLine) std::mutex mutex_;  // guards what has no atomic of its own here, and (*)
    std::vector<Entry> incoming_;
    std::uint64_t first_incoming_ = 1;  // the number of incoming_[0]
    IntrusiveList<Place> places_;       // posts that found no memory
    bool closed_ = false;
    std::atomic<bool> posted_{false};
    std::atomic<bool> asleep_{false};
    std::atomic<int> waking_{0};  // threads in wake_()
    const std::uint64_t id_;      // what posters read

    alignas(kCacheLine) RunQueue& ready_;
    UniqueFunction<void()> wake_;
    std::atomic<std::thread::id> runner_{};  // the thread that runs a callback now
    std::atomic<int> blocked_{0};            // threads in await_end()
    BatchTurn batch_turn_{*this};
    std::size_t batch_position_ = 0;  // what is before it in batch_ had its turn
    bool batch_interrupted_ = false;
    bool delivered_ = false;                 // a batch is in the ready queue or being run
    IntrusiveList<Place> delivered_places_;  // run behind it
    std::vector<Entry> batch_;               // (*) but changed only by the loop; stays when run
    std::vector<Entry> spare_;               // empty, with the memory of the batch before
    std::uint64_t first_of_batch_ = 1;
    IntrusiveList<Ticket> tickets_;             // (*)
    std::uint64_t next_ticket_ = kFirstTicket;  // (*)
    std::condition_variable ended_;
};

}  // namespace asyncio::loop
