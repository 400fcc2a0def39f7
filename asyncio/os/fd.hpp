// SPDX-License-Identifier: MIT
//
// Fd: owns one file descriptor and closes it. Move-only; -1 when it owns none.
//
// A descriptor that a kernel watches is closed with Kernel::close(), which wants `release()` first:
// epoll keeps what it knows of a number until it is told.
#pragma once

#include <utility>

namespace asyncio::os {

class Fd {
  public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept {
        if (this != &other) reset(other.release());
        return *this;
    }
    ~Fd() { reset(); }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

    /// Give up ownership.
    [[nodiscard]] int release() noexcept {
        const int fd = fd_;
        fd_ = -1;
        return fd;
    }

    /// Close what is owned, if any, and own `fd`.
    void reset(int fd = -1) noexcept {
        if (fd_ >= 0) close_owned();
        fd_ = fd;
    }

  private:
    void close_owned() noexcept;

    int fd_ = -1;
};

/// Another descriptor for what `fd` is, close-on-exec; or -errno.
int duplicate(int fd) noexcept;

}  // namespace asyncio::os
