// SPDX-License-Identifier: MIT
//
// SignalHandlers: signals of one loop: callbacks of add_signal_handler(), and its receivers.
//
// The process's handler (signal_table.hpp) sets a bit here and wakes the loop's kernel. The loop
// looks once per iteration and queues the callbacks, or hands the signal to its receivers.
//
// Threads: add and remove on the main thread (asyncio's rule), also while the loop runs on another;
// receivers belong to the loop's thread; raised() anywhere.
#pragma once

#include <asyncio/base/intrusive_list.hpp>
#include <asyncio/base/unique_function.hpp>
#include <asyncio/loop/event_loop.hpp>
#include <asyncio/loop/signal_table.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace asyncio::loop {

/// Somebody on this loop who takes signals himself.
class SignalListener : public SignalSink, public IntrusiveListNode<SignalListener> {
  public:
    /// On the loop's thread, after raised().
    virtual void deliver() noexcept = 0;

  protected:
    ~SignalListener() = default;
};

class SignalHandlers final : private SignalSink {
  public:
    explicit SignalHandlers(EventLoop& loop) noexcept : loop_(loop) {}
    ~SignalHandlers() { clear(); }

    /// `once`: the second delivery has the default disposition. Returns the entry's number.
    std::uint64_t add(int signal, UniqueFunction<void()> f, bool once);
    /// Only if it is still entry `number` (0: whichever).
    bool remove(int signal, std::uint64_t number) noexcept;
    void clear() noexcept;

    bool pending() const noexcept { return pending_.load(std::memory_order_relaxed); }
    /// Queue the callbacks of the signals that arrived, and tell the listeners.
    void deliver();

    IntrusiveList<SignalListener>& listeners() noexcept { return listeners_; }
    /// For listeners, inside a signal handler: have deliver() called.
    void note() noexcept;

  private:
    struct Callback {
        UniqueFunction<void()> function;
        ContextSlot context;  // for all its calls
    };
    struct Entry {
        int signal;
        std::uint64_t number;
        std::shared_ptr<Callback> callback;
    };

    void raised(int signal) noexcept override;
    std::shared_ptr<Callback> forget(int signal) noexcept;

    EventLoop& loop_;
    std::vector<Entry> entries_;  // guarded by the table's lock
    std::uint64_t next_number_ = 1;
    IntrusiveList<SignalListener> listeners_;
    std::atomic<std::uint64_t> arrived_{0};  // bit n-1: signal n, for `entries_`
    std::atomic<bool> pending_{false};
};

/// True in the thread that started the program.
bool in_main_thread() noexcept;

}  // namespace asyncio::loop
