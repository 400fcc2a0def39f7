// SPDX-License-Identifier: MIT
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/simulated.hpp>
#include <asyncio/os/without_sigpipe.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

namespace asyncio::os {
namespace {

constexpr std::uint64_t kResolveCached = 0x20;  // RESOLVE_CACHED, since Linux 5.12

long read(const FileCall& call) noexcept {
    const std::size_t size = std::min(call.size, FileCall::kLongest);
    if (call.offset < 0) return ::read(call.fd, call.memory, size);
    return ::pread(call.fd, call.memory, size, call.offset);
}

/// What has no positions may be a pipe that nobody reads any more.
long write_to_stream(int fd, const void* memory, std::size_t size) noexcept {
    WithoutSigpipe without_sigpipe;
    const ssize_t result = ::write(fd, memory, size);
    without_sigpipe.raised = result < 0 ? errno == EPIPE : static_cast<std::size_t>(result) < size;
    return result;
}

long write(const FileCall& call) noexcept {
    const std::size_t size = std::min(call.size, FileCall::kLongest);
    if (call.offset < 0) return write_to_stream(call.fd, call.memory, size);
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
        const iovec part = {call.memory, std::min(call.size, FileCall::kLongest)};
        result = ::preadv2(call.fd, &part, 1, call.offset, RWF_NOWAIT);
    }
    return result >= 0 ? static_cast<int>(result) : -EAGAIN;
}

}  // namespace asyncio::os
