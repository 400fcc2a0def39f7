// SPDX-License-Identifier: MIT
//
// Closing: files that were only read, and are closed together when the iteration of the loop ends.
//
//     loop.service<file::Closing>().take(std::move(fd));
//     co_await sleep(0s);                            // closed when this returns
//
// A system call costs a twentieth of what reading a small file takes, and descriptors that were
// opened one after the other are neighbours, which one call closes (os::close_all). They are closed
// before the loop polls, so before anybody who has slept since then goes on; earlier when there are
// kMost of them, or when read_file() finds that there are no descriptors left.
//
// Only for what closes without waiting: a close may block where a server hears of it, and one that
// was written to has an error to tell.
//
// Threads: the loop's.
#pragma once

#include <asyncio/loop/core.hpp>
#include <asyncio/loop/service.hpp>
#include <asyncio/os/fd.hpp>

#include <array>
#include <cstddef>

namespace asyncio::file {

class Closing final : public loop::Service, public loop::PollHook {
  public:
    /// So many descriptors a program may have in use for this at most.
    static constexpr std::size_t kMost = 16;

    explicit Closing(EventLoop& loop) noexcept : Service(Stage::user_code), loop_(loop) {}
    ~Closing() override { (void)close_now(); }

    void take(os::Fd fd) noexcept;
    /// False if there was nothing to close.
    bool close_now() noexcept;

    Coro<> shut_down() override;
    void loop_closed() noexcept override { (void)close_now(); }
    void before_poll() noexcept override { (void)close_now(); }

  private:
    EventLoop& loop_;
    std::array<int, kMost> fds_;  // the first `count_` are ours
    std::size_t count_ = 0;
};

}  // namespace asyncio::file
