// SPDX-License-Identifier: MIT
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/without_sigpipe.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace asyncio::os {

namespace {

constexpr int flag_no_signal = 0x100;  // RWF_NOSIGNAL, since Linux 6.18

std::size_t size_of(const iovec* buffers, int count) noexcept {
    std::size_t size = 0;
    for (int i = 0; i < count; i++) size += buffers[i].iov_len;
    return size;
}

std::ptrdiff_t write_masked(int fd, const iovec* buffers, int count) noexcept {
    WithoutSigpipe without_sigpipe;
    const ssize_t result = ::writev(fd, buffers, count);
    without_sigpipe.raised =
        result < 0 ? errno == EPIPE : static_cast<std::size_t>(result) < size_of(buffers, count);
    return result < 0 ? -errno : result;
}

std::ptrdiff_t write_once(int fd, const iovec* buffers, int count) noexcept {
    static std::atomic<bool> has_flag{true};
    if (has_flag.load(std::memory_order_relaxed)) {
        const ssize_t result = ::pwritev2(fd, buffers, count, -1, flag_no_signal);
        if (result >= 0) return result;
        if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != EPERM)
            return -errno;
        if (errno != EINVAL) has_flag.store(false, std::memory_order_relaxed);
    }
    return write_masked(fd, buffers, count);
}

int make_pipe(int& read_end, int& write_end, int flags) noexcept {
    if (simulated_system != nullptr) [[unlikely]]
        return simulated_system->make_pipe(read_end, write_end);
    int ends[2];
    if (::pipe2(ends, flags) != 0) return -errno;
    read_end = ends[0];
    write_end = ends[1];
    return 0;
}

}  // namespace

FileKind kind_of(int fd) noexcept {
    if (is_simulated(fd)) return is_simulated_file(fd) ? FileKind::other : FileKind::socket;
    struct stat status = {};
    if (::fstat(fd, &status) != 0) return FileKind::none;
    if (S_ISFIFO(status.st_mode)) return FileKind::pipe;
    if (S_ISSOCK(status.st_mode)) return FileKind::socket;
    if (!S_ISCHR(status.st_mode)) return FileKind::other;
    return ::isatty(fd) == 1 ? FileKind::terminal : FileKind::device;
}

int make_pipe(int& read_end, int& write_end) noexcept {
    return make_pipe(read_end, write_end, O_CLOEXEC | O_NONBLOCK);
}

int make_blocking_pipe(int& read_end, int& write_end) noexcept {
    return make_pipe(read_end, write_end, O_CLOEXEC);
}

bool is_open(int fd) noexcept { return fd >= 0 && (is_simulated(fd) || ::fcntl(fd, F_GETFD) >= 0); }

bool is_nonblocking(int fd) noexcept {
    if (is_simulated(fd)) return true;
    const int flags = ::fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

int set_blocking(int fd) noexcept {
    if (is_simulated(fd)) return 0;
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    return ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 ? 0 : -errno;
}

int reopen_nonblocking(int fd, bool for_writing) noexcept {
    char path[32];
    std::snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const int access = for_writing ? O_WRONLY : O_RDONLY;
    const int opened = ::open(path, access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return opened >= 0 ? opened : -errno;
}

bool is_open_for(int fd, bool writing) noexcept {
    if (is_simulated(fd)) return true;
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0) return false;
    const int access = flags & O_ACCMODE;
    return access == O_RDWR || access == (writing ? O_WRONLY : O_RDONLY);
}

std::ptrdiff_t try_read(int fd, std::span<std::byte> buffer) noexcept {
    ssize_t result = 0;
    do result = ::read(fd, buffer.data(), buffer.size());
    while (result < 0 && errno == EINTR);
    if (result >= 0) return result;
    return errno == EIO && ::isatty(fd) == 1 ? 0 : -errno;
}

std::ptrdiff_t try_write(int fd, const iovec* buffers, std::size_t count) noexcept {
    const int most = static_cast<int>(std::min<std::size_t>(count, IOV_MAX));
    std::ptrdiff_t result = 0;
    do result = write_once(fd, buffers, most);
    while (result == -EINTR);
    return result;
}

}  // namespace asyncio::os
