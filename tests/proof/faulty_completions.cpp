// SPDX-License-Identifier: MIT
//
// FaultyRing's side of the completions: which of them begin a fault, and in which order the library
// gets to see them.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faulty_ring.hpp"

namespace asyncio::proof {
namespace {

bool has_more(const io_uring_cqe& completion) noexcept {
    return (completion.flags & IORING_CQE_F_MORE) != 0;
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
    const bool descriptor = operation.opcode == IORING_OP_ACCEPT ||
                            operation.opcode == IORING_OP_OPENAT ||
                            operation.opcode == RingOpcode::install;
    io_uring_cqe extra = {};
    extra.user_data = target_;
    extra.res = fault_.value != 0 ? -fault_.value : descriptor ? ::fcntl(0, F_DUPFD_CLOEXEC, 3) : 1;
    fresh.push_back(extra);
    hit_ = true;
}

}  // namespace asyncio::proof
