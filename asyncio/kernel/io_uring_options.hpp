// SPDX-License-Identifier: MIT
//
// What an io_uring kernel is made with. Programs use the defaults; tests make rings small, take
// features away as older systems do, and put faults where io_uring_enter is.
#pragma once

#include <asyncio/kernel/kernel.hpp>

#include <memory>

struct io_uring;

namespace asyncio::kernel {

/// The io_uring_enter system call on `ring`: returns its result or -errno. What stands in for it
/// may look at both queues and change them, before and after: tests/proof/faulty_ring.hpp does.
using EnterFunction = int (*)(io_uring& ring, unsigned submit, unsigned wait_for, unsigned flags,
                              const void* argument, std::size_t size);

struct IoUringOptions {
    unsigned submission_entries = 512;   // one batch; more wait in user space
    unsigned completion_entries = 4096;  // more wait in the system, which then ends multishots
    unsigned buffers = 256;              // receive buffers, a power of two; see IoUringBuffers
    bool deferred = true;                // DEFER_TASKRUN and its kin, where the system has them
    bool multishot = true;               // multishot accept and receive, where the system has them
    EnterFunction enter = nullptr;       // null: the system call
};

/// Throws std::system_error when the system refuses (EPERM, ENOSYS, ENOMEM, EMFILE, ...), also
/// ENOSYS when the library was built without liburing.
std::unique_ptr<Kernel> make_io_uring_kernel(const IoUringOptions& options = {});

}  // namespace asyncio::kernel
