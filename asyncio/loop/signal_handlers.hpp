// SPDX-License-Identifier: MIT
//
// SignalHandlers: signals as ordinary loop callbacks.
//
// The process-wide signal handler does two things, both async-signal-safe: it sets a bit in the
// owning loop's mask and wakes that loop's kernel. The loop looks at the mask once per iteration
// and queues the callbacks. A signal belongs to one loop at a time; a slot table of atomics tells
// which. Taking a slot back waits until no handler still uses it, so a loop can be destroyed while
// signals arrive on other threads.
//
// Threads: add and remove on the main thread (asyncio's rule); the handler anywhere.
#pragma once

#include <asyncio/base/unique_function.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <memory>
#include <vector>

namespace asyncio::loop {

class SignalHandlers {
  public:
    explicit SignalHandlers(EventLoop& loop) noexcept : loop_(loop) {}
    ~SignalHandlers() { clear(); }

    /// `once`: the second delivery has the default disposition. Returns the entry's number.
    std::uint64_t add(int signal, UniqueFunction<void()> f, bool once);
    /// Only if it is still entry `number` (0: whichever).
    bool remove(int signal, std::uint64_t number) noexcept;
    void clear() noexcept;

    bool pending() const noexcept { return pending_.load(std::memory_order_relaxed) != 0; }
    /// Queue the callbacks of the signals that arrived.
    void deliver();

    /// For the process's handler.
    void raised(int signal) noexcept;

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

    void forget(int signal) noexcept;

    EventLoop& loop_;
    std::vector<Entry> entries_;
    std::uint64_t next_number_ = 1;
    std::atomic<std::uint64_t> pending_{0};  // bit n-1: signal n
};

/// True in the thread that started the program.
bool in_main_thread() noexcept;

}  // namespace asyncio::loop
