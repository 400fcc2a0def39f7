// SPDX-License-Identifier: MIT
#include <asyncio/base/thread_sanitizer.hpp>
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_file.hpp>
#include <asyncio/kernel/operation.hpp>

#include <algorithm>

#include <fcntl.h>
#include <liburing.h>
#include <sys/stat.h>

#ifdef ASYNCIO_THREAD_SANITIZER
// ThreadSanitizer keeps a history for each descriptor's number, and sees only calls of the C
// library: without being told, it takes who gets the number next for another user of what we close.
// Declared in <sanitizer/linux_syscall_hooks.h>, which GCC does not have.
extern "C" void __sanitizer_syscall_pre_impl_close(long fd);
#endif

namespace asyncio::kernel {
namespace {

using Kind = os::FileCall::Kind;

// Not yet in Debian 12's liburing.
constexpr int opcode_ftruncate = 55;

unsigned size_of(const os::FileCall& call) noexcept {
    return static_cast<unsigned>(std::min(call.size, os::FileCall::kLongest));
}

/// -1 asks for the descriptor's own position.
std::uint64_t offset_of(const os::FileCall& call) noexcept {
    return static_cast<std::uint64_t>(call.offset);
}

}  // namespace

int io_uring_opcode_of(Kind kind) noexcept {
    switch (kind) {
        case Kind::open:
            return IORING_OP_OPENAT;
        case Kind::close:
            return IORING_OP_CLOSE;
        case Kind::read:
            return IORING_OP_READ;
        case Kind::write:
            return IORING_OP_WRITE;
        case Kind::sync:
            return IORING_OP_FSYNC;
        case Kind::stat:
            return IORING_OP_STATX;
        case Kind::rename:
            return IORING_OP_RENAMEAT;
        case Kind::unlink:
            return IORING_OP_UNLINKAT;
        case Kind::mkdir:
            return IORING_OP_MKDIRAT;
        case Kind::symlink:
            return IORING_OP_SYMLINKAT;
        case Kind::link:
            return IORING_OP_LINKAT;
        case Kind::truncate:
            return opcode_ftruncate;
    }
    return IORING_OP_LAST;
}

bool closes_descriptor(const Operation& operation) noexcept {
    return operation.opcode == Opcode::file &&
           operation.file_call->kind == os::FileCall::Kind::close;
}

void prepare_file_call(io_uring_sqe& record, const os::FileCall& call) noexcept {
    switch (call.kind) {
        case Kind::open:
            ::io_uring_prep_openat(&record, call.fd, call.path, call.flags | O_CLOEXEC, call.mode);
            if (call.waits) record.flags |= IOSQE_ASYNC;
            return;
        case Kind::close:
#ifdef ASYNCIO_THREAD_SANITIZER
            ::__sanitizer_syscall_pre_impl_close(call.fd);
#endif
            return ::io_uring_prep_close(&record, call.fd);
        case Kind::read:
            return ::io_uring_prep_read(&record, call.fd, call.memory, size_of(call),
                                        offset_of(call));
        case Kind::write:
            return ::io_uring_prep_write(&record, call.fd, call.memory, size_of(call),
                                         offset_of(call));
        case Kind::sync:
            return ::io_uring_prep_fsync(
                &record, call.fd,
                call.flags == os::FileCall::kDataOnly ? unsigned{IORING_FSYNC_DATASYNC} : 0u);
        case Kind::stat:
            return ::io_uring_prep_statx(&record, call.fd, call.path, call.flags,
                                         STATX_BASIC_STATS | STATX_BTIME, call.attributes);
        case Kind::rename:
            return ::io_uring_prep_renameat(&record, call.fd, call.path, call.fd, call.other,
                                            static_cast<unsigned>(call.flags));
        case Kind::unlink:
            return ::io_uring_prep_unlinkat(&record, call.fd, call.path, call.flags);
        case Kind::mkdir:
            return ::io_uring_prep_mkdirat(&record, call.fd, call.path, call.mode);
        case Kind::symlink:
            return ::io_uring_prep_symlinkat(&record, call.path, call.fd, call.other);
        case Kind::link:
            return ::io_uring_prep_linkat(&record, call.fd, call.path, call.fd, call.other,
                                          call.flags);
        case Kind::truncate:
            return ::io_uring_prep_rw(opcode_ftruncate, &record, call.fd, nullptr, 0,
                                      static_cast<std::uint64_t>(call.offset));
    }
}

}  // namespace asyncio::kernel
#endif
