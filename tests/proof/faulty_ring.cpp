// SPDX-License-Identifier: MIT
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

bool has_more(const io_uring_cqe& completion) noexcept {
    return (completion.flags & IORING_CQE_F_MORE) != 0;
}

bool is_of_completions(Manner manner) noexcept {
    switch (manner) {
        case Manner::breaks:
        case Manner::late:
        case Manner::behind:
        case Manner::ahead:
        case Manner::lost_race:
        case Manner::late_race:
        case Manner::stale:
            return true;
        default:
            return false;
    }
}

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

/// Ends a multishot without a record. False: it had ended.
bool cancel_now(const io_uring& ring, std::uint64_t tag) noexcept {
    io_uring_sync_cancel_reg wanted = {};
    wanted.addr = tag;
    wanted.fd = -1;
    wanted.timeout.tv_sec = wanted.timeout.tv_nsec = -1;
    return ::syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_SYNC_CANCEL, &wanted,
                     1) >= 0;
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

// --- completions --------------------------------------------------------------------------------

void FaultyRing::look_at_completions(io_uring& ring) {
    io_uring_cq& queue = ring.cq;
    const unsigned head = *queue.khead;
    const unsigned tail = io_uring_smp_load_acquire(queue.ktail);
    if (static_cast<int>(seen_completions_ - head) < 0) seen_completions_ = head;
    Completions all;  // what the library has not read stays in front
    for (unsigned i = head; i != seen_completions_; i++)
        all.push_back(queue.cqes[i & queue.ring_mask]);
    Completions fresh;
    for (unsigned i = seen_completions_; i != tail; i++) {
        io_uring_cqe completion = queue.cqes[i & queue.ring_mask];
        look_at(ring, completion);
        (keeps_ && completion.user_data == target_ ? kept_ : fresh).push_back(completion);
    }
    seen_completions_ = tail;
    if (mode_ != Mode::armed) return;
    arrange(fresh);
    add_stale(all, fresh);
    all.insert(all.end(), fresh.begin(), fresh.end());
    if (all.size() > queue.ring_entries / 2) std::abort();  // only large queues are written anew
    unsigned place = tail - static_cast<unsigned>(all.size());
    io_uring_smp_store_release(queue.khead, place);
    for (const io_uring_cqe& completion : all) queue.cqes[place++ & queue.ring_mask] = completion;
}

void FaultyRing::look_at(io_uring& ring, io_uring_cqe& completion) {
    const auto found = flying_.find(completion.user_data);
    if (found == flying_.end()) return;
    const int opcode = found->second.opcode;
    const bool last = !has_more(completion);
    found->second.ended = last;
    const int nth = ++completions_[opcode];
    if (mode_ == Mode::recording)
        sites_.push_back(
            {.opcode = opcode, .nth = nth, .completion = true, .multishot = !last, .last = last});
    if (mode_ != Mode::armed) return;
    if (fault_.opcode == opcode && fault_.nth == nth && is_of_completions(fault_.manner))
        begin(ring, completion);
    if (answers_ && completion.user_data == answered_) {
        const bool fits = fault_.manner != Manner::told || completion.res == 0;
        if (fits) completion.res = answer_;
        hit_ |= fits;
        answers_ = false;
    }
    if (!has_target_ || completion.user_data != target_) return;
    if (breaking_ && last && completion.res == -ECANCELED) {
        completion.res = -fault_.value;
        hit_ = true;
    }
    if (last) breaking_ = false;
}

/// A completion came that the fault is for.
void FaultyRing::begin(io_uring& ring, const io_uring_cqe& completion) {
    has_target_ = true;
    target_ = completion.user_data;
    switch (fault_.manner) {
        case Manner::breaks:
            breaking_ = has_more(completion) && cancel_now(ring, target_);
            return;
        case Manner::stale:
            stale_waits_ = !has_more(completion);
            return;
        case Manner::ahead:
            return;
        case Manner::lost_race:
        case Manner::late_race:
            interrupt_();
            [[fallthrough]];
        default:
            hit_ = true;
            keeps_ = true;
            kept_since_ = Clock::now();
    }
}

void FaultyRing::arrange(Completions& fresh) {
    const auto is_target = [this](const io_uring_cqe& completion) {
        return has_target_ && completion.user_data == target_;
    };
    if (fault_.manner == Manner::shuffled) return shuffle(fresh);
    if (fault_.manner == Manner::ahead && !hit_ && has_target_) {
        hit_ = !fresh.empty() && !is_target(fresh.front());
        Completions others;
        std::ranges::remove_copy_if(fresh, std::back_inserter(others), is_target);
        std::erase_if(fresh,
                      [&](const io_uring_cqe& completion) { return !is_target(completion); });
        fresh.insert(fresh.end(), others.begin(), others.end());
    }
    if (!keeps_) return;
    const bool others = fault_.manner == Manner::behind && !fresh.empty();
    if (!others && !release_ && !target_cancelled_) return;
    keeps_ = release_ = target_cancelled_ = false;
    const auto place = fault_.manner == Manner::lost_race ? fresh.begin() : fresh.end();
    fresh.insert(place, kept_.begin(), kept_.end());
    kept_.clear();
}

/// In random order, and a random part of them next time.
void FaultyRing::shuffle(Completions& fresh) {
    fresh.insert(fresh.begin(), kept_.begin(), kept_.end());
    kept_.clear();
    if (fresh.empty()) return;
    hit_ = true;
    std::vector<std::uint64_t> tags;
    for (const io_uring_cqe& completion : fresh) tags.push_back(completion.user_data);
    std::ranges::shuffle(tags, random_);
    Completions ordered;
    for (const std::uint64_t tag : tags) {  // each operation's own stay in order
        const auto next = std::ranges::find(fresh, tag, &io_uring_cqe::user_data);
        ordered.push_back(*next);
        fresh.erase(next);
    }
    fresh = std::move(ordered);
    if (random_() % 3 != 0) return;
    const std::size_t given = random_() % (fresh.size() + 1);
    kept_.assign(fresh.begin() + static_cast<std::ptrdiff_t>(given), fresh.end());
    fresh.resize(given);
}

/// Once the library has seen the end of an operation, and has not begun it anew.
void FaultyRing::add_stale(const Completions& unread, Completions& fresh) {
    if (!stale_waits_) return;
    const auto has_target = [this](const Completions& some) {
        return std::ranges::find(some, target_, &io_uring_cqe::user_data) != some.end();
    };
    if (has_target(unread) || has_target(fresh)) return;
    stale_waits_ = false;
    const Flying& operation = flying_[target_];
    if (!operation.ended) return;
    const bool descriptor =
        operation.opcode == IORING_OP_ACCEPT || operation.opcode == IORING_OP_OPENAT;
    io_uring_cqe extra = {};
    extra.user_data = target_;
    extra.res = fault_.value != 0 ? -fault_.value : descriptor ? ::fcntl(0, F_DUPFD_CLOEXEC, 3) : 1;
    fresh.push_back(extra);
    hit_ = true;
}

// --- names --------------------------------------------------------------------------------------

std::string name_of_opcode(int opcode) {
    switch (opcode) {
#define OPCODE(NAME)       \
    case IORING_OP_##NAME: \
        return #NAME;
        OPCODE(NOP)
        OPCODE(POLL_ADD)
        OPCODE(SENDMSG)
        OPCODE(RECVMSG)
        OPCODE(ACCEPT)
        OPCODE(ASYNC_CANCEL)
        OPCODE(CONNECT)
        OPCODE(OPENAT)
        OPCODE(CLOSE)
        OPCODE(STATX)
        OPCODE(READ)
        OPCODE(WRITE)
        OPCODE(FSYNC)
        OPCODE(SEND)
        OPCODE(RECV)
        OPCODE(RENAMEAT)
        OPCODE(UNLINKAT)
        OPCODE(MKDIRAT)
        OPCODE(SYMLINKAT)
        OPCODE(LINKAT)
#undef OPCODE
        case RingOpcode::ftruncate:
            return "FTRUNCATE";
        case RingOpcode::wake:
            return "wake";
        case RingOpcode::enter:
            return "enter";
        case RingOpcode::any:
            return "any";
        default:
            return std::to_string(opcode);
    }
}

std::string_view name_of(Manner manner) {
    static constexpr std::string_view names[manners] = {
        "none",   "fails",    "cut",       "ends",      "spurious",  "breaks", "late",
        "behind", "ahead",    "lost-race", "late-race", "cancelled", "missed", "stale",
        "told",   "shuffled", "refused",   "partial",   "early",
    };
    return names[static_cast<int>(manner)];
}

std::string name_of(const RingFault& fault) {
    const char* known = ::strerrorname_np(fault.value);
    const std::string error = known == nullptr ? "?" : known;
    const std::string manner(name_of(fault.manner));
    switch (fault.manner) {
        case Manner::fails:
            return error;
        case Manner::refused:
            return error + (fault.times == 1 ? "" : "-" + std::to_string(fault.times));
        case Manner::cut:
            return std::to_string(fault.value) + "-bytes";
        case Manner::breaks:
        case Manner::stale:
        case Manner::told:
            return fault.value == 0 ? manner : manner + "-" + error;
        default:
            return manner;
    }
}

}  // namespace asyncio::proof
