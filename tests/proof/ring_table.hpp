// SPDX-License-Identifier: MIT
//
// What the operations of a ring may answer: every opcode that the io_uring backend prepares, with
// the errors Linux has for it. An opcode that is missing here is seen when a scenario uses it; one
// that no scenario uses is seen because it was never faulted.
#pragma once

#include <cerrno>
#include <initializer_list>

#include <liburing.h>

#include "ring_fault.hpp"

namespace asyncio::proof {

struct RingOperation {
    int opcode;
    /// Of the work itself: the program may fail with them.
    std::initializer_list<int> errors;
    /// Of the moment, or of the system's means: the library is to try again, or another way, and
    /// nobody notices. ECANCELED: the system had no thread for it.
    std::initializer_list<int> passing = {};
    /// Of a multishot that had worked.
    std::initializer_list<int> breaks = {};
    std::initializer_list<int> passing_breaks = {};
};

inline const RingOperation ring_operations[] = {
    // sockets
    {IORING_OP_ACCEPT,
     {EMFILE, ENFILE, ENOBUFS, ENOMEM},
     {ECONNABORTED, EPROTO, EPERM, ENETDOWN, ETIMEDOUT, EINTR, EAGAIN, EINVAL, ECANCELED},
     {EMFILE, ENOMEM},
     {ECONNABORTED, EINTR}},
    {IORING_OP_CONNECT,
     {ECONNREFUSED, ETIMEDOUT, EADDRNOTAVAIL, ENETUNREACH, ENOMEM, EPERM},
     {ECANCELED}},
    {IORING_OP_RECV,
     {ECONNRESET, ETIMEDOUT, EHOSTUNREACH, ENOMEM},
     {ENOBUFS, EAGAIN, EINVAL, EINTR, ECANCELED},
     {ECONNRESET, ENOMEM},
     {ENOBUFS, EINTR}},
    {IORING_OP_RECVMSG,
     {ECONNREFUSED, EHOSTUNREACH, ENOMEM},
     {ENOBUFS, EAGAIN, EINVAL, EINTR, ECANCELED},
     {ECONNREFUSED, ENOMEM},
     {ENOBUFS, EINTR}},
    {IORING_OP_SEND, {ECONNRESET, EPIPE, ETIMEDOUT, ENOBUFS, ENOMEM}, {EINTR, EAGAIN, ECANCELED}},
    {IORING_OP_SENDMSG,
     {ECONNRESET, EPIPE, ETIMEDOUT, ENOBUFS, ENOMEM},
     {EINTR, EAGAIN, ECANCELED}},
    {IORING_OP_POLL_ADD, {ENOMEM}, {EINTR, ECANCELED}},
    // files
    {IORING_OP_OPENAT, {EMFILE, ENFILE, EACCES, ENOENT, ENOSPC, EIO, ENOMEM}, {ECANCELED}},
    // A small file: what is not opened or not read so is read by other means.
    {IORING_OP_OPENAT2, {}, {EMFILE, ENFILE, EACCES, ENOENT, EAGAIN, EIO, ENOMEM, ECANCELED}},
    {RingOpcode::install, {EMFILE, ENFILE, ENOMEM}, {EAGAIN, ECANCELED}},
    {IORING_OP_CLOSE, {EIO, ENOSPC, EDQUOT, EINTR}, {}},
    {IORING_OP_READ, {EIO, EISDIR, ENOMEM, EAGAIN}, {EINTR, ECANCELED}},
    {IORING_OP_WRITE, {EIO, ENOSPC, EDQUOT, EFBIG, ENOMEM, EAGAIN}, {EINTR, ECANCELED}},
    {IORING_OP_FSYNC, {EIO, ENOSPC, EDQUOT}, {EINTR, ECANCELED}},
    {IORING_OP_STATX, {EIO, EACCES, ENOMEM}, {ECANCELED}},
    {IORING_OP_RENAMEAT, {EIO, EACCES, ENOSPC, EXDEV, EROFS}, {ECANCELED}},
    {IORING_OP_UNLINKAT, {EIO, EACCES, EBUSY, EROFS}, {ECANCELED}},
    {IORING_OP_MKDIRAT, {EIO, EACCES, ENOSPC, EROFS}, {ECANCELED}},
    {IORING_OP_SYMLINKAT, {EIO, EACCES, ENOSPC, EROFS}, {ECANCELED}},
    {IORING_OP_LINKAT, {EIO, EACCES, EXDEV, EMLINK, ENOSPC}, {ECANCELED}},
    {RingOpcode::ftruncate, {EIO, EFBIG, EPERM, ENOSPC}, {EINTR, ECANCELED}},
    // the backend's own
    {RingOpcode::wake, {}, {EINTR, EAGAIN, ENOMEM, EIO, ECANCELED}},
    {IORING_OP_ASYNC_CANCEL, {}, {ENOENT}},
    {IORING_OP_NOP, {}, {}},
    {RingOpcode::enter, {}, {EINTR, EAGAIN, EBUSY}},
};

}  // namespace asyncio::proof
