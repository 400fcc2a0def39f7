// SPDX-License-Identifier: MIT
//
// Watchers: add_reader and add_writer on top of one-shot poll operations.
//
// Level-triggered by re-arming: a poll operation completes, the callback goes through the ready
// queue, and after it ran the operation is submitted again, so the next poll reports what is still
// there. Removing marks the watch dead, takes the operation back from the kernel, and skips a
// callback that is already queued.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/unique_function.hpp>
#include <asyncio/loop/event_loop.hpp>

#include <vector>

namespace asyncio::loop {

class Watchers {
  public:
    explicit Watchers(EventLoop& loop) noexcept;
    ~Watchers();

    void add(int fd, bool writer, UniqueFunction<void()> f);
    bool remove(int fd, bool writer) noexcept;
    void clear() noexcept;

    /// Descriptors of transports: nobody else may watch them.
    void own(int fd, bool owned);
    bool owns(int fd) const noexcept;

  private:
    class Watch;

    Watch* find(int fd, bool writer) noexcept;

    EventLoop& loop_;
    std::vector<Watch*> watches_;  // few; searched linearly
    std::vector<bool> owned_;      // by descriptor
};

}  // namespace asyncio::loop
