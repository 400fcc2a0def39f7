// SPDX-License-Identifier: MIT
//
// SignalReceiver: signals as an async iterator. (asyncio has none; the name is Trio's.)
//
//     auto signals = asyncio::open_signal_receiver(SIGTERM, SIGINT);
//     while (auto signal = co_await signals.next()) {
//         if (*signal == SIGTERM) break;
//     }
//
// From open_signal_receiver() on the signals come here, and nowhere else: neither to a handler of
// add_signal_handler() nor, with SIGINT, to run(), which would cancel the main task. With the last
// receiver of a signal goes what it covered: that handler, or the disposition the program had.
//
// Any number of receivers, on any loops in any threads, may want the same signal; each of them gets
// it. As in the system itself, a signal that arrives again before it was taken is one signal; what
// different signals arrived is given in the order of their arrival, as seen by the loop. So what is
// kept is bounded: each signal once.
//
// A signal that has arrived and was not taken when the receiver closes is forgotten.
//
//     open ---close(), destructor, the loop closes---> closed: next() gives what has arrived, then
//                                                      nullopt
//
// Cancellation: of next() loses no signal. Threads: the loop's, which may run in any thread.
#pragma once

#include <asyncio/base/shared.hpp>
#include <asyncio/coro/coro.hpp>

#include <concepts>
#include <initializer_list>
#include <optional>

namespace asyncio {

namespace sync {
class SignalInbox;
}

class SignalReceiver {
  public:
    explicit SignalReceiver(Shared<sync::SignalInbox> inbox) noexcept;
    SignalReceiver(SignalReceiver&&) noexcept;
    SignalReceiver& operator=(SignalReceiver&& other) noexcept;
    ~SignalReceiver();

    /// The next signal; nullopt once everything was taken and the receiver is closed. Of several
    /// tasks that wait, one gets it.
    Coro<std::optional<int>> next() const;

    /// Want no more. A task that waits in next() gets nullopt. Idempotent.
    void close() noexcept;

  private:
    Shared<sync::SignalInbox> inbox_;
};

/// Receive these signals on the running loop, from now on. std::invalid_argument for what is no
/// signal, std::logic_error for SIGKILL, SIGSTOP and outside a loop, std::system_error for what the
/// system keeps for itself; then nothing has changed.
SignalReceiver open_signal_receiver(std::initializer_list<int> signals);
template <std::same_as<int>... Signals>
SignalReceiver open_signal_receiver(int signal, Signals... more) {
    return open_signal_receiver({signal, more...});
}

}  // namespace asyncio
