// SPDX-License-Identifier: MIT
//
// Taking operations back before their completion came: reclaim() and the destructor. What the
// system had done for them is undone or kept: descriptors closed or handed over, buffers lent
// again, and a close that was not begun is made.
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_file.hpp>
#include <asyncio/kernel/io_uring_kernel.hpp>
#include <asyncio/os/file_call.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <unistd.h>

namespace asyncio::kernel {
namespace {

static_assert(IoUringSlots::ignored_tag == IoUringSlots::tag(IoUringSlots::Kind::ignore, 0, 0));

constexpr Duration cancel_patience = std::chrono::milliseconds(100);
constexpr useconds_t memory_pause = 1000;  // microseconds

[[noreturn]] void die(const char* why) noexcept {
    std::fprintf(stderr, "asyncio: %s\n", why);
    std::abort();
}

}  // namespace

void IoUringKernel::dispose(const Completion_& completion) noexcept {
    const Kind kind = IoUringSlots::kind_of(completion.tag);
    const bool descriptor =
        kind == Kind::accept || kind == Kind::open || kind == Kind::small_install;
    if (descriptor && completion.result >= 0 && !keep_accepted(completion.result))
        ::close(completion.result);
    if (kind == Kind::file && completion.result == -ECANCELED) close_all_the_same(completion.tag);
    const auto& buffers = kind == Kind::receive_from ? datagram_buffers_ : buffers_;
    if ((completion.flags & IORING_CQE_F_BUFFER) != 0 && buffers != nullptr)
        buffers->give_back(completion.flags);
}

/// The system had no thread for it, or the loop ended: the close was not begun.
void IoUringKernel::close_all_the_same(std::uint64_t tag) noexcept {
    const Operation* operation = slots_.find(tag);
    if (operation != nullptr && closes_descriptor(*operation)) ::close(operation->file_call->fd);
}

/// False unless reclaim_accept() is at work.
bool IoUringKernel::keep_accepted(int fd) noexcept {
    if (accepted_ == nullptr) return false;
    try {
        accepted_->push_back(fd);
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

/// If this completion is for `tag`: dispose of it, keep others from finding it. True when final.
bool IoUringKernel::strike_out(Completion_& completion, std::uint64_t tag) noexcept {
    if (IoUringSmallFiles::is_mine(IoUringSlots::kind_of(tag)))
        return strike_out_small_file(completion, tag);
    if (completion.tag != tag) return false;
    dispose(completion);
    completion.tag = IoUringSlots::ignored_tag;
    return !completion.has_more();
}

/// One of up to three. What is in outputs_ was noted.
bool IoUringKernel::strike_out_small_file(Completion_& completion, std::uint64_t tag) noexcept {
    if (!IoUringSmallFiles::is_mine(IoUringSlots::kind_of(completion.tag))) return false;
    if (!IoUringSlots::same_slot(completion.tag, tag)) return false;
    const unsigned place = slots_.find(tag)->count;
    if (!small_files_->ended(place)) (void)note_small_file(completion);
    completion.tag = IoUringSlots::ignored_tag;
    return small_files_->ended(place);
}

bool IoUringKernel::find_and_dispose(std::uint64_t tag) noexcept {
    bool ended = false;
    for (std::size_t i = 0; i < output_count_; i++) ended |= strike_out(outputs_[i], tag);
    for (std::size_t i = next_deferred_; i < deferred_.size(); i++)
        ended |= strike_out(deferred_[i], tag);
    for (unsigned i = 0; i < ring_->ready(); i++) ended |= strike_out(ring_->peek(i), tag);
    return ended;
}

/// Whether a cancel was answered so, which is forgotten then.
bool IoUringKernel::found_nothing(std::uint64_t cancel_tag) noexcept {
    bool found = false;
    for (unsigned i = 0; i < ring_->ready(); i++)
        if (ring_->peek(i).tag == cancel_tag && ring_->peek(i).result == -ENOENT)
            found = strike_out(ring_->peek(i), cancel_tag);
    return found;
}

/// Make room in the ring; the order is kept. False if there is no memory for more than there is
/// room for (see grow_slots).
bool IoUringKernel::defer_all() noexcept {
    deferred_.erase(deferred_.begin(),
                    deferred_.begin() + static_cast<std::ptrdiff_t>(next_deferred_));
    next_deferred_ = 0;
    try {
        for (; ring_->ready() != 0; ring_->pop()) deferred_.push_back(ring_->peek(0));
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

/// Asks again when the cancel has found nothing, as on_failed_cancel() does, and when nothing came
/// for long. The result does not tell that: with completions in memory a wait that was in vain
/// answers 0 instead of -ETIME.
void IoUringKernel::wait_for_end(std::uint64_t tag, bool may_cancel) noexcept {
    const std::uint64_t cancel_tag = IoUringSlots::with_kind(tag, Kind::cancel);
    bool asked = false;
    while (!find_and_dispose(tag)) {
        if (found_nothing(cancel_tag)) asked = false;
        if (!asked && may_cancel) asked = write_cancel(tag);
        const bool full = ring_->overflown() || ring_->ready() == ring_->completion_capacity();
        if (full && !defer_all()) ::usleep(memory_pause);
        const unsigned before = ring_->ready();
        const int result = ring_->enter(before + 1, cancel_patience);
        if (result >= 0 || result == -ETIME)
            asked = asked && ring_->ready() != before;
        else if (result != -EINTR && result != -EAGAIN && result != -EBUSY)
            die("io_uring refuses to take an operation back (is this the loop's thread?)");
    }
}

void IoUringKernel::reclaim(Operation& operation) noexcept {
    if (operation.idle()) return;
    const std::uint64_t tag = tag_of(operation);
    const Place place = slots_.of(operation).place;
    const bool closes = closes_descriptor(operation);
    const bool small = operation.opcode == Opcode::small_file;  // waits for nothing: not asked
    const bool held = place == Place::system && !forked() && (small || !ring_->unqueue(tag));
    if (held)
        wait_for_end(tag, !closes && !small);
    else if (closes && place != Place::finished && !forked())
        ::close(operation.file_call->fd);
    forget(operation);
}

std::vector<int> IoUringKernel::reclaim_accept(Operation& operation) noexcept {
    std::vector<int> accepted;
    accepted_ = &accepted;
    reclaim(operation);  // looks at no other operation's completions
    accepted_ = nullptr;
    return accepted;
}

/// Nothing of ours stays in the system's hands (catalogue A11). Without operations the only thing
/// it holds is the wake-up read, which points to static memory.
void IoUringKernel::drain() noexcept {
    if (!ring_->enabled()) return;
    if (in_flight_ != 0) drain_operations();
    if (!has_leftovers() || !on_owner_thread()) return;
    fill_from_backlog();
    (void)ring_->enter(0, Duration::zero());
}

void IoUringKernel::drain_operations() noexcept {
    if (!on_owner_thread()) die("a loop with operations in flight dies in a foreign thread");
    slots_.for_each_operation([this](Operation& operation) { cancel(operation); });
    for (List* list : {&finished_inputs_, &finished_outputs_})
        list->for_each([this](Operation& operation) { forget(operation); });
    slots_.for_each_operation([this](Operation& operation) {
        if (slots_.of(operation).place == Place::finished) forget(operation);  // a small file, read
    });
    while (in_flight_ != 0) {
        fill_from_backlog();
        const int result = ring_->enter(1, cancel_patience);
        for (Completion_ completion; next_completion(completion);) settle(completion);
        if (result == -ETIME) ask_again();
    }
}

/// What drain() does with a completion.
void IoUringKernel::settle(const Completion_& completion) noexcept {
    const Kind kind = IoUringSlots::kind_of(completion.tag);
    if (kind == Kind::cancel) return on_failed_cancel(completion);
    if (kind == Kind::ignore || kind == Kind::wake) return;
    Operation* operation = slots_.find(completion.tag);
    if (IoUringSmallFiles::is_mine(kind)) {
        if (note_small_file(completion)) forget(*operation);
        return;
    }
    dispose(completion);
    if (operation != nullptr && !completion.has_more()) forget(*operation);
}

void IoUringKernel::ask_again() noexcept {
    slots_.for_each_operation([this](Operation& operation) {
        if (!operation.linked()) cancels_.push_back(operation);
    });
}

}  // namespace asyncio::kernel
#endif
