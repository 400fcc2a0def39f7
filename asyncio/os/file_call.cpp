// SPDX-License-Identifier: MIT
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/without_sigpipe.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

namespace asyncio::os {
namespace {

constexpr std::uint64_t kResolveCached = 0x20;  // RESOLVE_CACHED, since Linux 5.12

bool is_ready(int fd, short events) noexcept {
    pollfd look = {fd, events, 0};
    return ::poll(&look, 1, 0) != 0;  // when that fails: what follows says why
}

/// A system that cannot be asked not to wait has only poll() to ask.
long at_once(const FileCall& call, short events, ssize_t (*transfer)(int, const iovec&, int)) {
    const iovec part = {call.memory, std::min(call.size, FileCall::kLongest)};
    const ssize_t result = transfer(call.fd, part, RWF_NOWAIT);
    if (result >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return result;
    if (is_ready(call.fd, events)) return transfer(call.fd, part, 0);
    errno = EAGAIN;
    return -1;
}

ssize_t read_stream(int fd, const iovec& part, int flags) {
    return ::preadv2(fd, &part, 1, -1, flags);
}

/// It may be a pipe that nobody reads any more.
ssize_t write_stream(int fd, const iovec& part, int flags) {
    WithoutSigpipe without_sigpipe;
    const ssize_t result = ::pwritev2(fd, &part, 1, -1, flags);
    without_sigpipe.raised =
        result < 0 ? errno == EPIPE : static_cast<std::size_t>(result) < part.iov_len;
    return result;
}

long read(const FileCall& call) noexcept {
    const std::size_t size = std::min(call.size, FileCall::kLongest);
    if (call.at_once) return at_once(call, POLLIN, &read_stream);
    if (call.offset < 0) return ::read(call.fd, call.memory, size);
    return ::pread(call.fd, call.memory, size, call.offset);
}

long write(const FileCall& call) noexcept {
    const std::size_t size = std::min(call.size, FileCall::kLongest);
    if (call.at_once) return at_once(call, POLLOUT, &write_stream);
    if (call.offset < 0) return write_stream(call.fd, {call.memory, size}, 0);
    return ::pwrite(call.fd, call.memory, size, call.offset);
}

long attempt(const FileCall& call) noexcept {
    using Kind = FileCall::Kind;
    switch (call.kind) {
        case Kind::open:
            return ::openat(call.fd, call.path, call.flags | O_CLOEXEC, call.mode);
        case Kind::close:
            return ::close(call.fd);
        case Kind::read:
            return read(call);
        case Kind::write:
            return write(call);
        case Kind::sync:
            return call.flags == FileCall::kDataOnly ? ::fdatasync(call.fd) : ::fsync(call.fd);
        case Kind::stat:
            return ::statx(call.fd, call.path, call.flags, STATX_BASIC_STATS | STATX_BTIME,
                           call.attributes);
        case Kind::rename:
            return ::renameat2(call.fd, call.path, call.fd, call.other,
                               static_cast<unsigned>(call.flags));
        case Kind::unlink:
            return ::unlinkat(call.fd, call.path, call.flags);
        case Kind::mkdir:
            return ::mkdirat(call.fd, call.path, call.mode);
        case Kind::symlink:
            return ::symlinkat(call.path, call.fd, call.other);
        case Kind::link:
            return ::linkat(call.fd, call.path, call.fd, call.other, call.flags);
        case Kind::truncate:
            return ::ftruncate(call.fd, call.offset);
    }
    errno = EINVAL;
    return -1;
}

/// A file that is memory: it waits for nothing but pages that were swapped out, as all memory does.
/// Its system does not know RWF_NOWAIT. Devices may have their names there, too.
bool is_in_memory(int fd) noexcept {
    struct statfs system = {};
    if (::fstatfs(fd, &system) != 0) return false;
    if (system.f_type != TMPFS_MAGIC && system.f_type != RAMFS_MAGIC) return false;
    struct stat status = {};
    return ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

long read_if_cached(const FileCall& call) noexcept {
    const iovec part = {call.memory, std::min(call.size, FileCall::kLongest)};
    const long result = ::preadv2(call.fd, &part, 1, call.offset, RWF_NOWAIT);
    if (result >= 0 || errno != EOPNOTSUPP || !is_in_memory(call.fd)) return result;
    return ::preadv2(call.fd, &part, 1, call.offset, 0);
}

}  // namespace

const char* FileCall::name() const noexcept {
    static constexpr const char* kNames[] = {"open",  "close",   "read",   "write",
                                             "sync",  "stat",    "rename", "remove",
                                             "mkdir", "symlink", "link",   "truncate"};
    return kNames[static_cast<int>(kind)];
}

int perform(const FileCall& call) noexcept {
    if (SimulatedFiles* const files = files_of(call.fd)) [[unlikely]]
        return files->perform(call);
    for (;;) {
        const long result = attempt(call);
        if (result >= 0) return static_cast<int>(result);
        if (errno != EINTR || call.kind == FileCall::Kind::close) return -errno;
    }
}

int perform_if_cached(const FileCall& call) noexcept {
    if (files_of(call.fd) != nullptr) [[unlikely]]
        return -EAGAIN;
    long result = -1;
    if (call.kind == FileCall::Kind::open) {
        open_how how = {};
        how.flags = static_cast<unsigned>(call.flags) | O_CLOEXEC;
        how.mode = (call.flags & O_CREAT) != 0 ? call.mode : 0;
        how.resolve = kResolveCached;
        result = ::syscall(SYS_openat2, call.fd, call.path, &how, sizeof how);
    } else if (call.kind == FileCall::Kind::read) {
        result = read_if_cached(call);
    }
    return result >= 0 ? static_cast<int>(result) : -EAGAIN;
}

}  // namespace asyncio::os
