// SPDX-License-Identifier: MIT
//
// The call itself, and the records that go with it; faulty_completions.cpp has what comes back.
#include "faulty_ring.hpp"

#include <asyncio/kernel/io_uring_slots.hpp>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <iterator>

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace asyncio::proof {
namespace {

using kernel::IoUringSlots;

/// Nothing happened for so long: nothing will.
constexpr Duration idle_time = std::chrono::milliseconds(2);
/// Completions are kept no longer, whatever happens.
constexpr Duration longest_keep = std::chrono::milliseconds(50);

int opcode_of(const io_uring_sqe& record) noexcept {
    return IoUringSlots::kind_of(record.user_data) == IoUringSlots::Kind::wake ? RingOpcode::wake
                                                                               : record.opcode;
}

bool is_multishot(const io_uring_sqe& record) noexcept {
    switch (record.opcode) {
        case IORING_OP_ACCEPT:
            return (record.ioprio & IORING_ACCEPT_MULTISHOT) != 0;
        case IORING_OP_RECV:
        case IORING_OP_RECVMSG:
            return (record.ioprio & IORING_RECV_MULTISHOT) != 0;
        default:
            return false;
    }
}

std::int64_t size_of(const io_uring_sqe& record) noexcept {
    switch (record.opcode) {
        case IORING_OP_SEND:
        case IORING_OP_READ:
        case IORING_OP_WRITE:
            return record.len;
        case IORING_OP_SENDMSG: {
            std::size_t size = 0;
            const auto* message = reinterpret_cast<const msghdr*>(record.addr);
            for (std::size_t i = 0; i < message->msg_iovlen; i++)
                size += message->msg_iov[i].iov_len;
            return static_cast<std::int64_t>(size);
        }
        default:
            return 0;
    }
}

/// False for who only wants to hear of an error: what cannot be read is never readable.
bool can_be_ready(const io_uring_sqe& record) noexcept {
    const int flags = ::fcntl(record.fd, F_GETFL);
    if ((record.poll32_events & POLLIN) != 0) return (flags & O_ACCMODE) != O_WRONLY;
    return (record.poll32_events & POLLOUT) != 0 && (flags & O_ACCMODE) != O_RDONLY;
}

}  // namespace

FaultyRing& FaultyRing::current() noexcept {
    static FaultyRing ring;
    return ring;
}

int FaultyRing::enter(io_uring& ring, unsigned submit, unsigned wait_for, unsigned flags,
                      const void* argument, std::size_t size) {
    return current().enter(ring, Call{submit, wait_for, flags, argument, size});
}

void FaultyRing::begin_ring() noexcept {
    seen_records_ = seen_completions_ = 0;
    flying_.clear();
    std::ranges::fill(records_, 0);
    std::ranges::fill(completions_, 0);
}

void FaultyRing::record() noexcept {
    disarm();
    sites_.clear();
    mode_ = Mode::recording;
}

void FaultyRing::arm(const RingFault& fault, void (*interrupt)()) noexcept {
    disarm();
    mode_ = Mode::armed;
    fault_ = fault;
    interrupt_ = interrupt;
    hit_ = false;
    random_.seed(static_cast<unsigned>(fault.nth));
}

void FaultyRing::disarm() noexcept {
    mode_ = Mode::passive;
    has_target_ = answers_ = keeps_ = release_ = target_cancelled_ = breaking_ = stale_waits_ =
        false;
    kept_.clear();
}

// --- the call -----------------------------------------------------------------------------------

int FaultyRing::enter(io_uring& ring, Call call) {
    look_at_records(ring);
    if (refuses(call)) return -fault_.value;
    const int result =
        kept_.empty() || call.wait_for == 0 ? call_system(ring, call) : call_patiently(ring, call);
    look_at_completions(ring);
    return result;
}

int FaultyRing::call_system(const io_uring& ring, const Call& call) noexcept {
    const long result = ::syscall(__NR_io_uring_enter, ring.ring_fd, call.submit, call.wait_for,
                                  call.flags, call.argument, call.size);
    return result < 0 ? -errno : static_cast<int>(result);
}

/// Somebody waits, and we keep completions: it waits until something happens, or nothing will.
int FaultyRing::call_patiently(const io_uring& ring, Call call) {
    if (fault_.manner == Manner::shuffled) {
        call.wait_for = 0;
        return call_system(ring, call);
    }
    auto limit = std::chrono::duration_cast<std::chrono::nanoseconds>(idle_time).count();
    bool is_ours = true;
    if ((call.flags & IORING_ENTER_EXT_ARG) != 0) {
        const auto* given = static_cast<const io_uring_getevents_arg*>(call.argument);
        const auto* asked = reinterpret_cast<const __kernel_timespec*>(given->ts);
        const auto asked_for = asked->tv_sec * 1'000'000'000 + asked->tv_nsec;
        is_ours = asked_for > limit;
        limit = std::min<std::int64_t>(limit, asked_for);
    }
    __kernel_timespec time = {.tv_sec = limit / 1'000'000'000, .tv_nsec = limit % 1'000'000'000};
    io_uring_getevents_arg argument = {};
    argument.ts = reinterpret_cast<std::uintptr_t>(&time);
    call.argument = &argument;
    call.size = sizeof argument;
    call.flags |= IORING_ENTER_EXT_ARG;
    const unsigned before = io_uring_smp_load_acquire(ring.cq.ktail);
    const int result = call_system(ring, call);
    const bool idle = is_ours && io_uring_smp_load_acquire(ring.cq.ktail) == before;
    if (idle || Clock::now() - kept_since_ > longest_keep) release_ = true;
    return result == -ETIME && is_ours ? 0 : result;
}

/// A fault of the call itself. True: it is refused.
bool FaultyRing::refuses(Call& call) noexcept {
    const int nth = ++records_[RingOpcode::enter];
    if (mode_ == Mode::recording)
        sites_.push_back(
            {.opcode = RingOpcode::enter, .nth = nth, .size = static_cast<int>(call.submit)});
    const bool due = nth >= fault_.nth && nth < fault_.nth + fault_.times;
    if (mode_ != Mode::armed || fault_.opcode != RingOpcode::enter || !due) return false;
    switch (fault_.manner) {
        case Manner::refused:
            hit_ = true;
            return true;
        case Manner::partial:
            hit_ = call.submit > 1;
            call.submit = std::min(call.submit, std::max(1U, call.submit / 2));
            call.wait_for = 0;  // as the system does when it could not take all
            return false;
        default:
            hit_ = call.submit != 0;
            if (hit_) call.wait_for = 0;
            return false;
    }
}

// --- records ------------------------------------------------------------------------------------

void FaultyRing::look_at_records(io_uring& ring) {
    const unsigned head = *ring.sq.khead;
    if (static_cast<int>(seen_records_ - head) < 0) seen_records_ = head;
    for (; seen_records_ != ring.sq.sqe_tail; seen_records_++)
        look_at(ring.sq.sqes[seen_records_ & ring.sq.ring_mask]);
}

void FaultyRing::look_at(io_uring_sqe& record) {
    const int opcode = opcode_of(record);
    const int nth = ++records_[opcode];
    if (record.user_data != 0) flying_[record.user_data] = {opcode, false};
    if (mode_ == Mode::recording)
        sites_.push_back(
            {.opcode = opcode,
             .nth = nth,
             .multishot = is_multishot(record),
             .size = static_cast<int>(std::min<std::int64_t>(size_of(record), 1 << 30))});
    if (mode_ != Mode::armed) return;
    if (has_target_ && opcode == IORING_OP_ASYNC_CANCEL && record.addr == target_)
        look_at_cancel(record);
    if (fault_.opcode == opcode && fault_.nth == nth && !is_of_completions(fault_.manner))
        change(record);
}

void FaultyRing::look_at_cancel(io_uring_sqe& record) noexcept {
    target_cancelled_ = keeps_;
    if (fault_.manner != Manner::missed || hit_) return;
    answer_with(record, -ENOENT);
    do_nothing(record);
    hit_ = true;
}

void FaultyRing::answer_with(const io_uring_sqe& record, int result) noexcept {
    answers_ = true;
    answered_ = record.user_data;
    answer_ = result;
}

void FaultyRing::change(io_uring_sqe& record) {
    has_target_ = true;
    target_ = record.user_data;
    switch (fault_.manner) {
        case Manner::fails:
            answer_with(record, -fault_.value);
            if (record.opcode != IORING_OP_CLOSE) do_nothing(record);
            return;
        case Manner::spurious:
            if (!can_be_ready(record)) return;
            answer_with(record, static_cast<int>(record.poll32_events));
            do_nothing(record);
            return;
        case Manner::told:
            record.flags &= static_cast<std::uint8_t>(~IOSQE_CQE_SKIP_SUCCESS);
            answer_with(record, -fault_.value);
            if (record.user_data == 0) hit_ = true;  // nobody's: its answer is not looked at
            return;
        case Manner::cut:
            hit_ = record.opcode == IORING_OP_RECV || size_of(record) > fault_.value;
            if (hit_) cut(record);
            return;
        case Manner::ends:
            record.ioprio &= static_cast<std::uint16_t>(~(record.opcode == IORING_OP_ACCEPT
                                                              ? IORING_ACCEPT_MULTISHOT
                                                              : IORING_RECV_MULTISHOT));
            hit_ = true;
            return;
        case Manner::cancelled:
            hit_ = true;
            [[fallthrough]];
        case Manner::missed:
            return interrupt_();
        default:
            return;
    }
}

void FaultyRing::do_nothing(io_uring_sqe& record) noexcept {
    const std::uint64_t tag = record.user_data;
    std::memset(&record, 0, sizeof record);
    ::io_uring_prep_nop(&record);
    record.user_data = tag;
}

void FaultyRing::cut(io_uring_sqe& record) {
    const auto size = static_cast<std::uint32_t>(fault_.value);
    if (record.opcode == IORING_OP_RECV)  // one that answers once may have a size
        record.ioprio &= static_cast<std::uint16_t>(~IORING_RECV_MULTISHOT);
    if (record.opcode != IORING_OP_SENDMSG) {
        record.len = size;
        return;
    }
    message_ = *reinterpret_cast<const msghdr*>(record.addr);
    pieces_.clear();
    std::size_t left = size;
    for (std::size_t i = 0; i < message_.msg_iovlen && left != 0; i++) {
        pieces_.push_back(message_.msg_iov[i]);
        pieces_.back().iov_len = std::min(left, pieces_.back().iov_len);
        left -= pieces_.back().iov_len;
    }
    message_.msg_iov = pieces_.data();
    message_.msg_iovlen = pieces_.size();
    record.addr = reinterpret_cast<std::uintptr_t>(&message_);
}

}  // namespace asyncio::proof
