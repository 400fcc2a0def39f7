// SPDX-License-Identifier: MIT
#include <asyncio/os/fd.hpp>
#include <asyncio/os/simulated.hpp>

#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace asyncio::os {

void Fd::close_owned() noexcept {
    if (SimulatedSystem* const system = system_of(fd_)) [[unlikely]]
        return system->close(fd_);
    // Linux frees the number before anything that could fail: never retried, also not on EINTR.
    const int saved = errno;
    ::close(fd_);
    errno = saved;
}

int duplicate(int fd) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->duplicate(fd);
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return copy >= 0 ? copy : -errno;
}

}  // namespace asyncio::os
