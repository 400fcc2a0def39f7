// SPDX-License-Identifier: MIT
//
// IoUringRing: the two rings shared with the system, and the one system call. Knows nothing of
// operations.
//
// liburing makes, maps and destroys the rings; entering is done here, because every error of
// io_uring_enter must leave the submission queue exactly as the system left it (catalogue A5): what
// is still to be submitted is always computed from the head the system wrote.
//
// The ring is born disabled, so that the thread that enables it, not the one that made it, becomes
// its single issuer. Records may be queued before.
//
// Facts about the system relied upon:
//   - SINGLE_ISSUER came with multishot receive in 6.0, COOP_TASKRUN with multishot accept and
//     buffer rings in 5.19: accepted flags tell features that have no probe.
//   - Multishot accept under DEFER_TASKRUN returns wrong descriptors in 6.6 to 6.8 (liburing
//   #1062).
//   - With DEFER_TASKRUN completions appear only inside an enter with GETEVENTS; SQ_TASKRUN says
//     that there is something to run.
//   - Without SQPOLL the system reads the tail and writes the head inside our own calls only.
//   - Overflown completions are kept (NODROP) and flushed by an enter with GETEVENTS.
//
// Threads: the one that enabled it.
#pragma once

#include <asyncio/base/time.hpp>
#include <asyncio/kernel/io_uring_options.hpp>

#include <cstdint>
#include <optional>

#include <liburing.h>

#ifndef IORING_RECV_MULTISHOT
#error "asyncio needs liburing 2.3; with an older one build with ASYNCIO_HAVE_LIBURING=0 (epoll)"
#endif

namespace asyncio::kernel {

class IoUringRing {
  public:
    struct Completion {
        std::uint64_t tag;
        std::int32_t result;
        std::uint32_t flags;

        /// Of a multishot, which goes on.
        bool has_more() const noexcept { return (flags & IORING_CQE_F_MORE) != 0; }
    };

    explicit IoUringRing(const IoUringOptions& options);
    ~IoUringRing();
    IoUringRing(const IoUringRing&) = delete;
    IoUringRing& operator=(const IoUringRing&) = delete;

    void enable();
    bool enabled() const noexcept { return enabled_; }

    bool has_multishot_accept() const noexcept { return multishot_accept_; }
    bool has_multishot_receive() const noexcept { return multishot_receive_; }
    /// Whether the system knows records of this opcode.
    bool knows(int opcode) const noexcept {
        return opcode < kOpcodes && (known_ >> opcode & 1) != 0;
    }
    /// A flag for records whose success needs no completion; 0 where that is unknown.
    unsigned char skip_success() const noexcept { return skip_success_; }
    io_uring& native() noexcept { return ring_; }

    /// The next free record, or null when the queue is full. It must be filled.
    io_uring_sqe* next_record() noexcept {
        if (queued() == ring_.sq.ring_entries) return nullptr;
        return &ring_.sq.sqes[ring_.sq.sqe_tail++ & ring_.sq.ring_mask];
    }
    unsigned index_of(const io_uring_sqe& record) const noexcept {
        return static_cast<unsigned>(&record - ring_.sq.sqes);
    }
    unsigned capacity() const noexcept { return ring_.sq.ring_entries; }

    /// Records the system has not taken yet.
    unsigned queued() const noexcept { return ring_.sq.sqe_tail - *ring_.sq.khead; }

    /// Turn a record the system has not taken yet into one that does nothing.
    bool unqueue(std::uint64_t tag) noexcept;

    /// Completions in memory.
    unsigned ready() const noexcept {
        return io_uring_smp_load_acquire(ring_.cq.ktail) - *ring_.cq.khead;
    }
    /// The n-th of them. It may be changed: a tag may be struck out.
    Completion& peek(unsigned n) noexcept {
        return reinterpret_cast<Completion&>(
            ring_.cq.cqes[(*ring_.cq.khead + n) & ring_.cq.ring_mask]);
    }
    Completion pop() noexcept {
        const Completion completion = peek(0);
        io_uring_smp_store_release(ring_.cq.khead, *ring_.cq.khead + 1);
        return completion;
    }
    /// Take up to `limit` of those in memory, one by one, as long as `take` returns true; it may
    /// change what is left. What remains of the limit.
    template <class Take>
    std::size_t take_ready(std::size_t limit, Take&& take) {
        // In registers: nothing that `take` calls moves the rings.
        unsigned* const head = ring_.cq.khead;
        unsigned* const tail = ring_.cq.ktail;
        const auto* const entries = reinterpret_cast<const Completion*>(ring_.cq.cqes);
        const unsigned mask = ring_.cq.ring_mask;
        while (limit != 0 && *head != io_uring_smp_load_acquire(tail)) {
            const Completion completion = entries[*head & mask];
            io_uring_smp_store_release(head, *head + 1);
            limit--;
            if (!take(completion)) [[unlikely]]
                break;
        }
        return limit;
    }
    unsigned completion_capacity() const noexcept { return ring_.cq.ring_entries; }

    /// Something only an enter can bring to memory.
    bool holds_back() const noexcept {
        constexpr unsigned held = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
        return (IO_URING_READ_ONCE(*ring_.sq.kflags) & held) != 0;
    }
    bool overflown() const noexcept {
        return (IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0;
    }

    /// Submit everything queued, run what the system deferred, wait until `wait_for` completions
    /// are in memory, at most `timeout`. Result of the system call or -errno.
    int enter(unsigned wait_for, std::optional<Duration> timeout) noexcept {
        return enter(queued(), wait_for, timeout);
    }
    /// The same without submitting.
    int wait_only(unsigned wait_for, Duration timeout) noexcept {
        return enter(0, wait_for, timeout);
    }

  private:
    int enter(unsigned submit, unsigned wait_for, std::optional<Duration> timeout) noexcept;
    void choose_features(const IoUringOptions& options, unsigned flags) noexcept;
    int try_setup(const IoUringOptions& options, unsigned flags) noexcept;
    bool probe() noexcept;

    static constexpr int kOpcodes = 64;

    io_uring ring_ = {};
    EnterFunction enter_;
    std::uint64_t known_ = 0;  // a bit for each opcode
    bool enabled_ = false;
    bool multishot_accept_ = false;
    bool multishot_receive_ = false;
    unsigned char skip_success_ = 0;
};

}  // namespace asyncio::kernel
