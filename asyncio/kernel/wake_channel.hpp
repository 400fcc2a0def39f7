// SPDX-License-Identifier: MIT
//
// WakeChannel: how other threads and signal handlers reach a kernel that sleeps: an eventfd that
// the kernel watches, and a flag that lets all but the first of several wakes skip the system call.
//
// Why no wake is lost: a waker makes its work visible, then sets the flag; the loop clears the flag
// (acknowledge), then looks for work. Who finds the flag set came before the clearing, and his work
// is seen; who finds it clear writes to the eventfd, and the next wait() returns.
//
// Threads: wake() from any thread and from signal handlers; the rest from the kernel's thread.
#pragma once

#include <asyncio/os/fd.hpp>

#include <atomic>
#include <cstdint>

namespace asyncio::kernel {

class WakeChannel {
  public:
    /// io_uring reads the eventfd, and completes at once with EAGAIN if that is non-blocking.
    enum class Mode : std::uint8_t { blocking, non_blocking };

    explicit WakeChannel(Mode mode);

    int fd() const noexcept { return event_.get(); }
    void wake() noexcept;

    bool pending() const noexcept { return pending_.load(std::memory_order_relaxed); }
    void acknowledge() noexcept { pending_.exchange(false, std::memory_order_acq_rel); }

    /// Put a new eventfd behind the same number, for a ring that replaces one whose pending read
    /// cannot be taken back. Wakes on the way to the old one are not lost: the new one is woken.
    void renew();

  private:
    const Mode mode_;
    const std::uint32_t fork_generation_;
    std::atomic<bool> pending_ = false;
    os::Fd event_;
};

}  // namespace asyncio::kernel
