// SPDX-License-Identifier: MIT
//
// What becomes of completions: delivered to their operation, or disposed of. And taking operations
// back before their completion came: reclaim() and the destructor.
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_kernel.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <sys/socket.h>
#include <unistd.h>

namespace asyncio::kernel {
namespace {

constexpr std::uint64_t ignored_tag = IoUringSlots::tag(IoUringSlots::Kind::ignore, 0, 0);
constexpr Duration cancel_patience = std::chrono::milliseconds(100);
constexpr std::uint8_t most_times_given_up = 32;
constexpr useconds_t memory_pause = 1000;

bool has_more(const IoUringRing::Completion& completion) noexcept {
    return (completion.flags & IORING_CQE_F_MORE) != 0;
}

/// Nobody else knows of that descriptor any more: a close is made, not taken back (K4).
bool closes_descriptor(const Operation& operation) noexcept {
    return operation.opcode == Opcode::file &&
           operation.file_call->kind == os::FileCall::Kind::close;
}

/// What was interrupted is made again, as os::perform() and the calls of os/socket.hpp do. Not a
/// close, which is done then, and not a connect, which goes on by itself.
bool may_be_made_again(const Operation& operation) noexcept {
    return operation.opcode != Opcode::connect && !closes_descriptor(operation);
}

[[noreturn]] void die(const char* why) noexcept {
    std::fprintf(stderr, "asyncio: %s\n", why);
    std::abort();
}

}  // namespace

inline void IoUringKernel::on_receive(Operation& operation, const Completion_& completion) {
    const int result = completion.result;
    if (result <= 0) [[unlikely]]
        return on_receive_end(operation, completion);
    if (!has_more(completion)) [[unlikely]]
        begin_anew(operation);
    IoUringBuffers& buffers = *buffers_;
    const auto data = buffers.data(completion.flags, static_cast<std::size_t>(result));
    buffers.received(data.size());
    operation.callback(operation, Completion{.result = result, .more = true, .data = data});
    buffers.give_back(completion.flags);
}

[[gnu::always_inline]] inline void IoUringKernel::on_completion(const Completion_& completion) {
    if (IoUringSlots::kind_of(completion.tag) != Kind::receive)
        return on_rarer_completion(completion);
    if (Operation* operation = slots_.find(completion.tag)) [[likely]]
        on_receive(*operation, completion);
    else
        dispose(completion);
}

/// One wait() delivers what was there when it began, at most one ring full. A callback that takes
/// an operation back may move the rest of the ring to deferred_: what the ring has from then on is
/// newer, and waits for the next turn.
void IoUringKernel::dispatch() {
    finish_all(finished_inputs_);
    const std::size_t left = deliver_deferred(ring_->completion_capacity());
    const std::size_t most = std::min<std::size_t>(left, ring_->ready());
    const std::size_t missed = ring_->take_ready(most, [this](const Completion_& completion) {
        on_completion(completion);
        return deferred_.empty();
    });
    deliver_deferred(missed);
    // By index and copied: a callback may strike out a later one.
    for (std::size_t i = 0; i < output_count_; i++) deliver(Completion_(outputs_[i]));
    output_count_ = 0;
    finish_all(finished_outputs_);
}

/// What remains of the limit.
std::size_t IoUringKernel::deliver_deferred(std::size_t limit) {
    for (Completion_ completion; limit != 0 && next_deferred(completion); limit--)
        on_rarer_completion(completion);
    return limit;
}

void IoUringKernel::finish_all(List& list) {
    if (list.empty()) return;
    List taken;  // those that callbacks add wait for their turn
    taken.splice_back(list);
    while (!taken.empty()) {
        Operation& operation = taken.pop_front();
        finish(operation, operation.inline_result);
    }
}

void IoUringKernel::on_rarer_completion(const Completion_& completion) {
    switch (IoUringSlots::kind_of(completion.tag)) {
        case Kind::connect:
        case Kind::send:
        case Kind::file:
        case Kind::open:
            outputs_[output_count_++] = completion;
            return;
        case Kind::accept:
        case Kind::receive:
        case Kind::receive_from:
            return deliver(completion);
        case Kind::poll: {
            const Operation* operation = slots_.find(completion.tag);
            if (operation == nullptr || operation->is_input()) return deliver(completion);
            outputs_[output_count_++] = completion;
            return;
        }
        case Kind::wake:
            wake_armed_ = false;
            wake_.acknowledge();
            return;
        case Kind::cancel:
            return on_failed_cancel(completion);
        case Kind::ignore:
            return;
    }
}

/// ENOENT: the operation had ended, and its completion stands before or behind this one; or the
/// system was just between two of its steps, and we ask again. EALREADY: it is about to end.
void IoUringKernel::on_failed_cancel(const Completion_& completion) noexcept {
    if (completion.result != -ENOENT) return;
    Operation* operation = slots_.find(completion.tag);
    if (operation == nullptr || operation->linked()) return;
    if (operation->state != Operation::State::cancelling) return;
    if (slots_.of(*operation).place == Place::system) cancels_.push_back(*operation);
}

void IoUringKernel::deliver(const Completion_& completion) {
    if (completion.tag == ignored_tag) return;  // struck out meanwhile
    Operation* operation = slots_.find(completion.tag);
    if (operation == nullptr) [[unlikely]]
        return dispose(completion);
    switch (IoUringSlots::kind_of(completion.tag)) {
        case Kind::accept:
            return on_accept(*operation, completion);
        case Kind::receive:
            return on_receive(*operation, completion);
        case Kind::receive_from:
            return on_datagram(*operation, completion);
        case Kind::poll:
            if (slots_.of(*operation).by_readiness) return on_ready(*operation, completion);
            [[fallthrough]];
        default:
            if (completion.result < 0) [[unlikely]]
                return on_failure(*operation, completion.result);
            return finish(*operation, completion.result);
    }
}

/// ECANCELED of what nobody cancelled: it needed one of the system's threads, none could be made,
/// and it was not begun. Signals that come fast do that; and a limit on threads, which lasts. The
/// owner of a call on a file has threads of its own for it.
void IoUringKernel::on_failure(Operation& operation, int error) {
    if (error == -EINTR && may_be_made_again(operation)) return begin_anew(operation);
    const bool given_up = error == -ECANCELED && operation.state == Operation::State::submitted;
    if (given_up && operation.opcode != Opcode::file) {
        if (++slots_.of(operation).given_up <= most_times_given_up) return begin_anew(operation);
        error = -EAGAIN;  // as who asks for a thread is told
    }
    if (error == -EAGAIN && operation.opcode == Opcode::send)
        return fall_back_to_readiness(operation);
    finish(operation, error);
}

void IoUringKernel::on_accept(Operation& operation, const Completion_& completion) {
    const int result = completion.result;
    if (result >= 0) {
        if (!has_more(completion)) begin_anew(operation);
        operation.callback(operation, Completion{.result = result, .more = true});
        return;
    }
    if (has_more(completion)) return;
    if (os::is_transient_accept_error(-result)) return begin_anew(operation);
    // EINVAL: it does not listen, or the system does not know multishot. accept4 will tell.
    if (result == -EINVAL || result == -EAGAIN) return fall_back_to_readiness(operation);
    on_failure(operation, result);
}

void IoUringKernel::on_receive_end(Operation& operation, const Completion_& completion) {
    if ((completion.flags & IORING_CQE_F_BUFFER) != 0) buffers_->give_back(completion.flags);
    if (!has_more(completion)) on_receive_error(operation, completion.result, *buffers_);
}

void IoUringKernel::on_receive_error(Operation& operation, int error, IoUringBuffers& buffers) {
    if (error == -ENOBUFS) {
        // Begun anew by the next enter, when this wait()'s buffers are lent again.
        buffers.grow();
        return begin_anew(operation);
    }
    if (error == -EINVAL || error == -EAGAIN) return fall_back_to_readiness(operation);
    if (error < 0) return on_failure(operation, error);
    finish(operation, error);  // the end of the stream
}

void IoUringKernel::on_datagram(Operation& operation, const Completion_& completion) {
    if ((completion.flags & IORING_CQE_F_BUFFER) == 0) {
        if (!has_more(completion))
            on_receive_error(operation, completion.result, *datagram_buffers_);
        return;
    }
    if (!has_more(completion)) begin_anew(operation);
    const int size = std::max(completion.result, 0);
    const auto memory = datagram_buffers_->data(completion.flags, static_cast<std::size_t>(size));
    void* const start = const_cast<std::byte*>(memory.data());
    if (io_uring_recvmsg_out* out = ::io_uring_recvmsg_validate(start, size, &datagram_layout)) {
        Datagram datagram;
        const auto* payload =
            static_cast<const std::byte*>(::io_uring_recvmsg_payload(out, &datagram_layout));
        datagram.data = {payload, ::io_uring_recvmsg_payload_length(out, size, &datagram_layout)};
        datagram.result = static_cast<int>(datagram.data.size());
        datagram.more = true;
        datagram.address = static_cast<const sockaddr*>(::io_uring_recvmsg_name(out));
        datagram.address_size = out->namelen;
        datagram.truncated = (out->flags & MSG_TRUNC) != 0;
        datagram_buffers_->received(datagram.data.size());
        operation.callback(operation, datagram);
    }
    datagram_buffers_->give_back(completion.flags);
}

/// The system ended a multishot that was not asked to end.
void IoUringKernel::begin_anew(Operation& operation) noexcept {
    operation.unlink();  // a cancel not yet written has nothing to find
    if (operation.state == Operation::State::cancelling)
        finish_later(operation, -ECANCELED);
    else
        start(operation);
}

void IoUringKernel::fall_back_to_readiness(Operation& operation) noexcept {
    slots_.of(operation).by_readiness = true;
    begin_anew(operation);
}

void IoUringKernel::on_ready(Operation& operation, const Completion_& completion) {
    if (completion.result < 0) return on_failure(operation, completion.result);
    if (operation.opcode == Opcode::send) return send_now(operation);
    begin_anew(operation);
    if (operation.state == Operation::State::cancelling) return;
    if (operation.opcode == Opcode::receive)
        receive_now(operation);
    else if (operation.opcode == Opcode::receive_from)
        receive_datagrams_now(operation);
    else
        accept_now(operation);
}

void IoUringKernel::send_now(Operation& operation) {
    const auto sent = operation.is_socket
                          ? os::try_send(operation.fd, operation.buffers, operation.count)
                          : os::try_write(operation.fd, operation.buffers, operation.count);
    if (sent == -EAGAIN) return begin_anew(operation);
    finish(operation, static_cast<int>(sent));
}

void IoUringKernel::receive_now(Operation& operation) {
    if (scratch_ == nullptr) scratch_.reset(new std::byte[scratch_size]);
    const std::span scratch(scratch_.get(), scratch_size);
    const auto received = operation.is_socket ? os::try_receive(operation.fd, scratch)
                                              : os::try_read(operation.fd, scratch);
    if (received == -EAGAIN) return;
    const int result = static_cast<int>(received);
    if (result > 0) {
        const auto data = scratch.first(static_cast<std::size_t>(received));
        operation.callback(operation, Completion{.result = result, .more = true, .data = data});
        return;
    }
    reclaim(operation);  // the poll just written
    operation.callback(operation, Completion{.result = result});
}

void IoUringKernel::receive_datagrams_now(Operation& operation) {
    if (batch_ == nullptr) batch_ = std::make_unique<DatagramBatch>();
    const int count = batch_->receive(operation.fd);
    if (count == -EAGAIN) return;
    if (count < 0) {
        reclaim(operation);
        operation.callback(operation, Completion{.result = count});
        return;
    }
    const std::uint64_t tag = tag_of(operation);
    for (int i = 0; i < count && slots_.find(tag) == &operation; i++)
        operation.callback(operation, (*batch_)[i]);
}

void IoUringKernel::accept_now(Operation& operation) {
    const std::uint64_t tag = tag_of(operation);
    const int fd = operation.fd;
    for (int i = 0; i < accept_burst; i++) {
        const int result = os::try_accept(fd);
        if (result == -EAGAIN) return;
        if (result < 0 && os::is_transient_accept_error(-result)) continue;
        if (result < 0) {
            reclaim(operation);
            operation.callback(operation, Completion{.result = result});
            return;
        }
        operation.callback(operation, Completion{.result = result, .more = true});
        if (slots_.find(tag) != &operation) return;
        if (operation.state != Operation::State::submitted) return;
    }
}

/// The operation is the caller's again.
void IoUringKernel::forget(Operation& operation) noexcept {
    assert(!operation.idle());
    operation.unlink();
    slots_.release(operation.slot);
    operation.state = Operation::State::idle;
    in_flight_--;
}

void IoUringKernel::finish(Operation& operation, int result) {
    check_lent_memory(operation);
    forget(operation);
    operation.callback(operation, Completion{.result = result});
}

void IoUringKernel::finish_later(Operation& operation, int result) noexcept {
    slots_.of(operation).place = Place::finished;
    operation.inline_result = result;
    (operation.is_input() ? finished_inputs_ : finished_outputs_).push_back(operation);
}

// --- taking back --------------------------------------------------------------------------------

void IoUringKernel::dispose(const Completion_& completion) noexcept {
    const Kind kind = IoUringSlots::kind_of(completion.tag);
    const bool descriptor = kind == Kind::accept || kind == Kind::open;
    if (descriptor && completion.result >= 0 && !keep_accepted(completion.result))
        ::close(completion.result);
    const auto& buffers = kind == Kind::receive_from ? datagram_buffers_ : buffers_;
    if ((completion.flags & IORING_CQE_F_BUFFER) != 0 && buffers != nullptr)
        buffers->give_back(completion.flags);
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
    if (completion.tag != tag) return false;
    dispose(completion);
    completion.tag = ignored_tag;
    return !has_more(completion);
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
    const bool held = place == Place::system && !forked() && !ring_->unqueue(tag);
    if (held)
        wait_for_end(tag, !closes);
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
    if (in_flight_ == 0 || !ring_->enabled()) return;
    if (!on_owner_thread()) die("a loop with operations in flight dies in a foreign thread");
    slots_.for_each_operation([this](Operation& operation) { cancel(operation); });
    for (List* list : {&finished_inputs_, &finished_outputs_})
        list->for_each([this](Operation& operation) { forget(operation); });
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
    dispose(completion);
    Operation* operation = slots_.find(completion.tag);
    if (operation != nullptr && !has_more(completion)) forget(*operation);
}

void IoUringKernel::ask_again() noexcept {
    slots_.for_each_operation([this](Operation& operation) {
        if (!operation.linked()) cancels_.push_back(operation);
    });
}

}  // namespace asyncio::kernel
#endif
