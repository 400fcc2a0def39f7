// SPDX-License-Identifier: MIT
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_ring.hpp>
#include <asyncio/os/error.hpp>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdio>

#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

namespace asyncio::kernel {
namespace {

static_assert(sizeof(IoUringRing::Completion) == sizeof(io_uring_cqe));

// Best first. What an older system does not know it refuses with EINVAL.
constexpr unsigned common_flags = IORING_SETUP_R_DISABLED | IORING_SETUP_CQSIZE;
constexpr unsigned cooperative_flags =
    common_flags | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
constexpr unsigned single_flags = cooperative_flags | IORING_SETUP_SINGLE_ISSUER;
constexpr unsigned deferred_flags = single_flags | IORING_SETUP_DEFER_TASKRUN;
constexpr unsigned flag_sets[] = {deferred_flags, single_flags, cooperative_flags, common_flags};

// All in 5.11: completions are never dropped, poll instead of worker threads, wait with a timeout,
// arguments need to live only until they are submitted.
constexpr unsigned required_features =
    IORING_FEAT_NODROP | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_SUBMIT_STABLE;

constexpr int required_operations[] = {
    IORING_OP_NOP,          IORING_OP_POLL_ADD, IORING_OP_SENDMSG,
    IORING_OP_ASYNC_CANCEL, IORING_OP_CONNECT,  IORING_OP_ACCEPT,
    IORING_OP_SEND,         IORING_OP_RECV,     IORING_OP_READ,
};

int enter_system(io_uring& ring, unsigned submit, unsigned wait_for, unsigned flags,
                 const void* argument, std::size_t size) {
    const long result =
        ::syscall(__NR_io_uring_enter, ring.ring_fd, submit, wait_for, flags, argument, size);
    return result < 0 ? -errno : static_cast<int>(result);
}

// A ring may be mapped where another thread's ring was unmapped. The system orders the two, but
// liburing's bare system calls are invisible to ThreadSanitizer; this says the same in C++.
std::atomic<unsigned> mappings{0};

bool has_accept_bug() noexcept {
    utsname system = {};
    int major = 0;
    int minor = 0;
    if (::uname(&system) != 0 || std::sscanf(system.release, "%d.%d", &major, &minor) != 2)
        return false;
    return major == 6 && minor >= 6 && minor <= 8;
}

}  // namespace

int IoUringRing::try_setup(const IoUringOptions& options, unsigned flags) noexcept {
    io_uring_params parameters = {};
    parameters.flags = flags;
    parameters.cq_entries = options.completion_entries;
    return ::io_uring_queue_init_params(options.submission_entries, &ring_, &parameters);
}

IoUringRing::IoUringRing(const IoUringOptions& options)
    : enter_(options.enter != nullptr ? options.enter : &enter_system) {
    int result = -EINVAL;
    unsigned chosen = 0;
    for (const unsigned flags : flag_sets) {
        if (!options.deferred && flags != common_flags) continue;
        chosen = flags;
        result = try_setup(options, flags);
        if (result != -EINVAL) break;
    }
    if (result < 0) os::throw_system_error(-result, "set up io_uring");
    mappings.fetch_add(1, std::memory_order_acquire);
    if ((ring_.features & required_features) != required_features || !probe()) {
        ::io_uring_queue_exit(&ring_);
        os::throw_system_error(ENOSYS, "set up io_uring: the system is too old for it");
    }
    choose_features(options, chosen);
    for (unsigned i = 0; i < ring_.sq.ring_entries; i++) ring_.sq.array[i] = i;
}

IoUringRing::~IoUringRing() {
    mappings.fetch_add(1, std::memory_order_release);
    ::io_uring_queue_exit(&ring_);
}

/// Ask which opcodes the system knows; true if it knows those we cannot do without.
bool IoUringRing::probe() noexcept {
    io_uring_probe* probe = ::io_uring_get_probe_ring(&ring_);
    if (probe == nullptr) return false;
    for (int opcode = 0; opcode < kOpcodes; opcode++)
        if (::io_uring_opcode_supported(probe, opcode) != 0) known_ |= std::uint64_t{1} << opcode;
    ::io_uring_free_probe(probe);
    return std::ranges::all_of(required_operations, [this](int opcode) { return knows(opcode); });
}

void IoUringRing::choose_features(const IoUringOptions& options, unsigned flags) noexcept {
    // Without `deferred` the flags tell nothing: a ring without them is asked for features.
    const bool single = (flags & IORING_SETUP_SINGLE_ISSUER) != 0;
    const bool cooperative = (flags & IORING_SETUP_COOP_TASKRUN) != 0;
    const bool deferred = (flags & IORING_SETUP_DEFER_TASKRUN) != 0;
    multishot_receive_ = options.multishot && single;
    multishot_accept_ = options.multishot && cooperative && !(deferred && has_accept_bug());
    if ((ring_.features & IORING_FEAT_CQE_SKIP) != 0) skip_success_ = IOSQE_CQE_SKIP_SUCCESS;
}

void IoUringRing::enable() {
    assert(!enabled_);
    // liburing 2.3 declares a function for it, and does not export it.
    if (::syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0))
        os::throw_system_error(errno, "enable io_uring");
    enabled_ = true;
}

bool IoUringRing::unqueue(std::uint64_t tag) noexcept {
    for (unsigned i = *ring_.sq.khead; i != ring_.sq.sqe_tail; i++) {
        io_uring_sqe& record = ring_.sq.sqes[i & ring_.sq.ring_mask];
        if (record.user_data != tag) continue;
        ::io_uring_prep_nop(&record);
        record.flags = skip_success_;
        record.user_data = 0;
        return true;
    }
    return false;
}

int IoUringRing::enter(unsigned submit, unsigned wait_for,
                       std::optional<Duration> timeout) noexcept {
    assert(enabled_);
    io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);
    constexpr unsigned flags = IORING_ENTER_GETEVENTS;
    if (wait_for == 0 || !timeout)
        return enter_(ring_, submit, wait_for, flags, nullptr, _NSIG / 8);
    const auto count = timeout->count();
    __kernel_timespec limit = {};
    limit.tv_sec = count / 1'000'000'000;
    limit.tv_nsec = count % 1'000'000'000;
    io_uring_getevents_arg argument = {};
    argument.ts = reinterpret_cast<std::uintptr_t>(&limit);
    return enter_(ring_, submit, wait_for, flags | IORING_ENTER_EXT_ARG, &argument,
                  sizeof argument);
}

}  // namespace asyncio::kernel
#endif
