// SPDX-License-Identifier: MIT
//
// SignalTable: who in this process hears of which signal.
//
// The process has one handler function for all signals that loops are interested in. It makes two
// kinds of async-signal-safe calls, `SignalSink::raised` and atomics, and finds whom to call here:
//
//     taps of the signal, newest first        every one of them hears (SignalReceiver)
//     else its owner                          one loop at a time (add_signal_handler)
//
// So taps take a signal from its owner, and from whatever disposition the program had given it,
// for as long as there are any. The disposition below them is kept (`below`), and what the program
// says to add_signal_handler() meanwhile changes that.
//
// Both are read inside the handler, on any thread, without a lock. Whoever is taken out waits until
// no handler still uses it (`inside_handler`), so a loop can be destroyed while signals arrive on
// other threads. All changes are made under one mutex, which handlers never take.
//
// Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace asyncio::loop {

class SignalSink {
  public:
    /// Inside a signal handler, on any thread: sets a flag and wakes a kernel.
    virtual void raised(int signal) noexcept = 0;

  protected:
    ~SignalSink() = default;
};

/// A receiver's place at one signal.
struct SignalTap {
    SignalSink* sink = nullptr;
    int signal = 0;
    std::atomic<SignalTap*> next{nullptr};
};

constexpr std::uint64_t bit_of(int signal) noexcept { return std::uint64_t{1} << (signal - 1); }

namespace signal_table {

/// Held around every change, and around what its callers must keep in step with it.
using Lock = std::unique_lock<std::mutex>;
Lock lock();

/// Throws std::invalid_argument for no signal, std::logic_error for what cannot be caught.
void check(int signal);

/// Give `signal` to `owner`; who had it, or null. `once`: its second delivery has the default
/// disposition. Throws std::system_error; then nothing has changed.
SignalSink* set_owner(const Lock& held, int signal, SignalSink& owner, bool once);
/// Back to the default disposition. REQUIRES: the signal is the caller's.
void clear_owner(const Lock& held, int signal) noexcept;

/// `tap.sink` hears of `tap.signal` from now on. Throws std::system_error; then nothing has
/// changed.
void add(const Lock& held, SignalTap& tap);
/// Afterwards nobody uses `tap`. With the last tap of a signal its disposition comes back.
void remove(const Lock& held, SignalTap& tap) noexcept;

/// Until no handler that may have seen the table before a change is still running.
void await_handlers() noexcept;

}  // namespace signal_table
}  // namespace asyncio::loop
