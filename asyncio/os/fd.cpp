// SPDX-License-Identifier: MIT
#include <asyncio/os/fd.hpp>

#include <cerrno>

#include <unistd.h>

namespace asyncio::os {

void Fd::close_owned() noexcept {
    // Linux frees the number before anything that could fail: never retried, also not on EINTR.
    const int saved = errno;
    ::close(fd_);
    errno = saved;
}

}  // namespace asyncio::os
