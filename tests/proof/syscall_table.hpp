// SPDX-License-Identifier: MIT
//
// Which system calls may fail, and with which errors: those the library makes, itself or through
// the C library, and only what Linux really answers there. Left out is what cannot fail for
// reasons outside the program (rt_sigprocmask, getsockname, shutdown of what is connected), and
// close(), which closes even when it fails and is therefore faked elsewhere.
#pragma once

#include <cerrno>
#include <initializer_list>
#include <span>
#include <string_view>

#include <sys/syscall.h>

namespace asyncio::proof {

struct FaultyCall {
    int number;
    std::string_view name;
    std::initializer_list<int> errors;
    bool first_is_descriptor = false;
    /// Also EAGAIN, where nobody waits for an edge: a call that found nothing has none coming.
    bool can_block = false;
    /// Only with this in argument `argument` (a command, an operation), if that is not negative.
    int argument = -1;
    unsigned value = 0;
};

#define CALL(NAME) SYS_##NAME, #NAME

inline const FaultyCall faulty_calls[] = {
    // sockets
    {CALL(socket), {EMFILE, ENOBUFS, EACCES}},
    {CALL(socketpair), {EMFILE}},
    {CALL(bind), {EADDRINUSE, EACCES}, true},
    {CALL(listen), {EADDRINUSE}, true},
    {CALL(accept4), {EMFILE, ENFILE, ENOBUFS, ECONNABORTED, EPROTO, EINTR}, true, true},
    {CALL(connect), {ECONNREFUSED, ETIMEDOUT, EADDRNOTAVAIL, ENETUNREACH}, true},
    {CALL(getpeername), {ENOTCONN}, true},
    {CALL(setsockopt), {ENOBUFS, ENOPROTOOPT}, true},
    {CALL(sendto), {EINTR, ECONNRESET, EPIPE, ENOBUFS}, true, true},
    {CALL(sendmsg), {EINTR, ECONNRESET, EPIPE, ENOBUFS}, true, true},
    {CALL(sendmmsg), {EINTR, ECONNRESET, ENOBUFS}, true, true},
    {CALL(recvfrom), {EINTR, ECONNRESET, ENOMEM}, true, true},
    {CALL(recvmsg), {EINTR, ECONNRESET, ENOMEM}, true, true},
    {CALL(recvmmsg), {EINTR, ECONNREFUSED, ENOMEM}, true, true},
    {CALL(sendfile), {EINTR, EIO, EINVAL, ECONNRESET}, true, true},
    // reading and writing
    {CALL(read), {EINTR, EIO}, true, true},
    {CALL(write), {EINTR, EIO, ENOSPC, EPIPE}, true, true},
    {CALL(readv), {EINTR, EIO}, true, true},
    {CALL(writev), {EINTR, EIO, ENOSPC, EPIPE}, true, true},
    {CALL(preadv2), {EINTR, EIO, EOPNOTSUPP}, true},
    {CALL(pwritev2), {EINTR, EIO, ENOSPC, EOPNOTSUPP}, true},
    {CALL(pread64), {EINTR, EIO}, true},
    {CALL(pwrite64), {EINTR, EIO, ENOSPC}, true},
    {CALL(lseek), {ESPIPE}, true},
    {CALL(ftruncate), {EINTR, EIO}, true},
    {CALL(fsync), {EIO, EINTR, ENOSPC}, true},
    {CALL(fdatasync), {EIO, EINTR}, true},
    {CALL(copy_file_range), {EXDEV, EIO, ENOSPC, ENOSYS}, true},
    {CALL(ioctl), {ENOTTY, EIO}, true},
    {CALL(fcntl), {EMFILE}, true, false, 1, 1030},  // F_DUPFD_CLOEXEC
    // names
    {CALL(openat), {EMFILE, EACCES, EINTR, ENOMEM}},
    {CALL(openat2), {EMFILE, EACCES, ENOSYS}},
    {CALL(newfstatat), {EACCES, ENOMEM}},
    {CALL(fstat), {ENOMEM}, true},
    {CALL(statx), {EACCES, ENOMEM, ENOSYS}},
    {CALL(fstatfs), {ENOSYS}, true},
    {CALL(unlink), {EACCES, EROFS}},
    {CALL(unlinkat), {EACCES, EROFS}},
    {CALL(rename), {EACCES, ENOSPC}},
    {CALL(renameat2), {EACCES, ENOSPC, EINVAL}},
    {CALL(mkdir), {ENOSPC, EACCES}},
    {CALL(mkdirat), {ENOSPC, EACCES}},
    {CALL(rmdir), {EACCES}},
    {CALL(linkat), {EMLINK, EPERM}},
    {CALL(symlinkat), {ENOSPC}},
    {CALL(readlink), {EACCES}},
    {CALL(readlinkat), {EACCES}},
    {CALL(chmod), {EPERM}},
    {CALL(fchmod), {EPERM}, true},
    {CALL(fchmodat), {EPERM}},
    {CALL(getdents64), {EIO, ENOMEM}, true},
    {CALL(inotify_init1), {EMFILE}},
    {CALL(inotify_add_watch), {ENOSPC, ENOMEM}, true},
    // waiting
    {CALL(epoll_create1), {EMFILE, ENOMEM}},
    {CALL(epoll_ctl), {ENOMEM, ENOSPC}, true, false, 1, 1},  // EPOLL_CTL_ADD
    {CALL(epoll_wait), {EINTR}, true},
    {CALL(epoll_pwait2), {EINTR, ENOSYS, EPERM}, true},
    {CALL(poll), {EINTR, ENOMEM}},
    {CALL(eventfd2), {EMFILE, ENOMEM}},
    {CALL(io_uring_setup), {EPERM, ENOSYS, ENOMEM, EMFILE}},
    {CALL(io_uring_register), {ENOMEM, EINVAL, EPERM}, true},
    {CALL(io_uring_enter), {EINTR, EAGAIN, EBUSY}, true},
    // programs and threads
    {CALL(pipe2), {EMFILE, ENFILE}},
    {CALL(dup3), {EBUSY, EINTR}, true},
    {CALL(clone), {EAGAIN, ENOMEM}},
    {CALL(clone3), {EAGAIN, ENOMEM}},
    {CALL(vfork), {EAGAIN, ENOMEM}},
    {CALL(execve), {EACCES, ENOMEM, E2BIG}},
    {CALL(pidfd_open), {EMFILE, ENOSYS}},
    {CALL(waitid), {EINTR, ECHILD}},
    {CALL(pidfd_send_signal), {EPERM, ENOSYS}, true},
    {CALL(close_range), {ENOSYS, EPERM}},
    {CALL(chdir), {ENOENT, EACCES}},
    {CALL(setsid), {EPERM}},
    {CALL(getrandom), {ENOSYS}},
    {CALL(sched_getaffinity), {EPERM}},
    {CALL(prlimit64), {EPERM}},
    {CALL(mmap), {ENOMEM}},
};

#undef CALL

inline constexpr int close_call = SYS_close;
inline constexpr int close_errors[] = {EINTR, EIO};

}  // namespace asyncio::proof
