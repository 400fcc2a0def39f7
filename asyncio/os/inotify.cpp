// SPDX-License-Identifier: MIT
#include <asyncio/os/inotify.hpp>
#include <asyncio/os/simulated.hpp>

#include <cerrno>

#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace asyncio::os {

int open_inotify() noexcept {
    if (simulated_system != nullptr) [[unlikely]]
        return simulated_system->open_inotify();
    const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int add_watch(int fd, const char* path, std::uint32_t what) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->add_watch(fd, path, what);
    for (;;) {
        const int watch = ::inotify_add_watch(fd, path, what);
        if (watch >= 0) return watch;
        if (errno != EINTR) return -errno;
    }
}

int remove_watch(int fd, int watch) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->remove_watch(fd, watch);
    return ::inotify_rm_watch(fd, watch) == 0 ? 0 : -errno;
}

std::ptrdiff_t read_records(int fd, std::span<std::byte> buffer) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->read_records(fd, buffer);
    ssize_t size = 0;
    do size = ::read(fd, buffer.data(), buffer.size());
    while (size < 0 && errno == EINTR);
    return size >= 0 ? size : -errno;
}

std::size_t unread_bytes(int fd) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->unread_bytes(fd);
    int bytes = 0;
    return ::ioctl(fd, FIONREAD, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace asyncio::os
