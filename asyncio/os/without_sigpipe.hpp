// SPDX-License-Identifier: MIT
//
// WithoutSigpipe: keeps SIGPIPE from this thread while it lives, for calls that have no flag
// against it. Set `raised` when the call said EPIPE or moved less than it was asked to (the peer
// may have gone in the middle: the system says how much went, and raises the signal all the same):
// the signal is taken away again, unless one was pending before. Not for public headers.
#pragma once

#include <cerrno>
#include <csignal>
#include <ctime>

namespace asyncio::os {

class WithoutSigpipe {
  public:
    WithoutSigpipe() noexcept {
        ::sigemptyset(&pipe_);
        ::sigaddset(&pipe_, SIGPIPE);
        sigset_t pending;
        ::sigpending(&pending);
        was_pending_ = ::sigismember(&pending, SIGPIPE) == 1;
        ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    WithoutSigpipe(const WithoutSigpipe&) = delete;
    WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;
    ~WithoutSigpipe() {
        const int saved = errno;
        constexpr timespec at_once = {};
        if (raised && !was_pending_) ::sigtimedwait(&pipe_, nullptr, &at_once);
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = saved;
    }

    bool raised = false;

  private:
    sigset_t pipe_;
    sigset_t before_;
    bool was_pending_ = false;
};

}  // namespace asyncio::os
