// SPDX-License-Identifier: MIT
//
// Socket: a socket between its making and its transport.
//
// Whoever waits on a socket makes it known to the kernel, which keeps a record by its number.
// Closed behind the kernel's back, the next socket of that number would find the record and never
// be watched. So this one closes through the kernel, wherever on the way to a transport it is
// dropped.
//
// Threads: the loop's.
#pragma once

#include <asyncio/loop/event_loop.hpp>
#include <asyncio/os/fd.hpp>

#include <utility>

namespace asyncio::net {

class Socket {
  public:
    Socket(EventLoop& loop, int fd) noexcept : loop_(&loop), fd_(fd) {}
    Socket(Socket&&) noexcept = default;
    Socket& operator=(Socket&& other) noexcept {
        close();
        loop_ = other.loop_;
        fd_ = std::move(other.fd_);
        return *this;
    }
    ~Socket() { close(); }

    int get() const noexcept { return fd_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
    /// For a transport, which closes as this does.
    os::Fd take() noexcept { return std::move(fd_); }

  private:
    void close() noexcept;

    EventLoop* loop_;
    os::Fd fd_;
};

}  // namespace asyncio::net
