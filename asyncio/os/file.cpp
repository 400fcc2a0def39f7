// SPDX-License-Identifier: MIT
#include <asyncio/base/thread_sanitizer.hpp>
#include <asyncio/os/fd.hpp>
#include <asyncio/os/file.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/simulated.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::os {

namespace {

constexpr int kWorkingDirectory = AT_FDCWD;

template <class Result>
Result or_error(Result result) noexcept {
    return result >= 0 ? result : -errno;
}

/// Of a simulated file.
int simulated_status(SimulatedFiles& files, int fd, const char* path,
                     struct stat& status) noexcept {
    struct statx found = {};
    const int result = files.perform({.kind = FileCall::Kind::stat,
                                      .fd = fd,
                                      .flags = *path == '\0' ? AT_EMPTY_PATH : 0,
                                      .path = path,
                                      .attributes = &found});
    status = {};
    status.st_dev = found.stx_dev_minor;
    status.st_ino = found.stx_ino;
    status.st_mode = found.stx_mode;
    status.st_nlink = found.stx_nlink;
    status.st_size = static_cast<off_t>(found.stx_size);
    return result;
}

/// False where they have to be closed one by one. ThreadSanitizer would take who gets one of these
/// numbers next for another user of it.
bool close_neighbours([[maybe_unused]] int first, [[maybe_unused]] int last) noexcept {
#if defined(SYS_close_range) && !defined(ASYNCIO_THREAD_SANITIZER)
    return first != last && !is_simulated(last) && ::syscall(SYS_close_range, first, last, 0) == 0;
#else
    return false;
#endif
}

}  // namespace

int file_status(int fd, struct stat& status) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return simulated_status(system->files(), fd, "", status);
    return or_error(::fstat(fd, &status));
}

int path_status(const char* path, struct stat& status) noexcept {
    if (SimulatedFiles* const files = files_of(kWorkingDirectory)) [[unlikely]]
        return simulated_status(*files, kWorkingDirectory, path, status);
    return or_error(::stat(path, &status));
}

std::int64_t seek(int fd, std::int64_t offset, int whence) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->files().seek(fd, offset, whence);
    return or_error(std::int64_t{::lseek(fd, offset, whence)});
}

int open_flags(int fd) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->files().open_flags(fd);
    return or_error(::fcntl(fd, F_GETFL));
}

int set_mode(int fd, unsigned mode) noexcept {
    if (SimulatedSystem* const system = system_of(fd)) [[unlikely]]
        return system->files().set_mode(fd, mode);
    return or_error(::fchmod(fd, mode));
}

int set_mode(const char* path, unsigned mode) noexcept {
    if (SimulatedFiles* const files = files_of(kWorkingDirectory)) [[unlikely]]
        return files->set_mode(path, mode);
    return or_error(::chmod(path, mode));
}

int set_size(int fd, std::int64_t size) noexcept {
    return perform({.kind = FileCall::Kind::truncate, .fd = fd, .offset = size});
}

int remove_file(const char* path) noexcept {
    return perform({.kind = FileCall::Kind::unlink, .path = path});
}

int read_link(const char* path, std::string& target) {
    if (SimulatedFiles* const files = files_of(kWorkingDirectory)) [[unlikely]]
        return files->read_link(path, target);
    target.resize(PATH_MAX);
    const ssize_t size = ::readlink(path, target.data(), target.size());
    if (size < 0) return -errno;
    target.resize(static_cast<std::size_t>(size));
    return 0;
}

int real_path(const char* path, std::string& real) {
    if (SimulatedFiles* const files = files_of(kWorkingDirectory)) [[unlikely]]
        return files->real_path(path, real);
    struct Free {
        void operator()(char* text) const noexcept { std::free(text); }
    };
    const std::unique_ptr<char, Free> found(::realpath(path, nullptr));
    if (!found) return -errno;
    real = found.get();
    return 0;
}

bool share_blocks(int in, int out) noexcept {
    return !is_simulated(in) && ::ioctl(out, FICLONE, in) == 0;
}

void close_all(std::span<int> fds) noexcept {
    const int saved = errno;
    std::ranges::sort(fds);
    while (!fds.empty()) {
        std::size_t count = 1;
        while (count < fds.size() && fds[count] == fds[count - 1] + 1) ++count;
        const auto neighbours = fds.first(count);
        if (!close_neighbours(neighbours.front(), neighbours.back()))
            for (const int fd : neighbours) Fd(fd).reset();
        fds = fds.subspan(count);
    }
    errno = saved;
}

}  // namespace asyncio::os
