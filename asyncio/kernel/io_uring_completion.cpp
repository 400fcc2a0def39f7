// SPDX-License-Identifier: MIT
//
// What becomes of completions: delivered to their operation, which may be begun anew.
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_datagram.hpp>
#include <asyncio/kernel/io_uring_file.hpp>
#include <asyncio/kernel/io_uring_kernel.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include <sys/socket.h>
#include <unistd.h>

namespace asyncio::kernel {
namespace {

/// In a row, with nothing told between.
constexpr std::uint8_t most_times_given_up = 32;

/// What was interrupted is made again, as os::perform() and the calls of os/socket.hpp do. Not a
/// close, which is done then, and not a connect, which goes on by itself.
bool may_be_made_again(const Operation& operation) noexcept {
    return operation.opcode != Opcode::connect && !closes_descriptor(operation);
}

}  // namespace

inline void IoUringKernel::on_receive(Operation& operation, const Completion_& completion) {
    const int result = completion.result;
    if (result <= 0) [[unlikely]]
        return on_receive_end(operation, completion, *buffers_);
    slots_.of(operation).given_up = 0;
    if (!completion.has_more()) [[unlikely]]
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
        case Kind::small_open:
        case Kind::small_first:
        case Kind::small_last:
        case Kind::small_install:
            if (note_small_file(completion)) outputs_[output_count_++] = completion;
            return;
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
    if (completion.tag == IoUringSlots::ignored_tag) return;  // struck out meanwhile
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
        case Kind::small_open:
        case Kind::small_first:
        case Kind::small_last:
        case Kind::small_install:
            return on_small_file(*operation);
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
        slots_.of(operation).given_up = 0;
        if (!completion.has_more()) begin_anew(operation);
        operation.callback(operation, Completion{.result = result, .more = true});
        return;
    }
    if (completion.has_more()) return;
    if (os::is_transient_accept_error(-result)) return begin_anew(operation);
    // EINVAL: it does not listen, or the system does not know multishot. accept4 will tell.
    if (result == -EINVAL || result == -EAGAIN) return fall_back_to_readiness(operation);
    on_failure(operation, result);
}

/// No piece: an error, which may have a buffer, or the end.
void IoUringKernel::on_receive_end(Operation& operation, const Completion_& completion,
                                   IoUringBuffers& buffers) {
    if ((completion.flags & IORING_CQE_F_BUFFER) != 0) buffers.give_back(completion.flags);
    if (!completion.has_more()) on_receive_error(operation, completion.result, buffers);
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
    if (completion.result < 0 || (completion.flags & IORING_CQE_F_BUFFER) == 0)
        return on_receive_end(operation, completion, *datagram_buffers_);
    slots_.of(operation).given_up = 0;
    if (!completion.has_more()) begin_anew(operation);
    const auto size = static_cast<std::size_t>(completion.result);
    const auto datagram = read_io_uring_datagram(datagram_buffers_->data(completion.flags, size));
    if (datagram) {
        datagram_buffers_->received(datagram->data.size());
        operation.callback(operation, *datagram);
    }
    datagram_buffers_->give_back(completion.flags);
}

/// True when its operation has nothing more to wait for.
bool IoUringKernel::note_small_file(const Completion_& completion) noexcept {
    const Operation* operation = slots_.find(completion.tag);
    if (operation != nullptr)
        return small_files_->note(operation->count, IoUringSlots::kind_of(completion.tag),
                                  completion.result);
    dispose(completion);
    return false;
}

void IoUringKernel::on_small_file(Operation& operation) {
    const bool wanted = operation.state == Operation::State::submitted;
    if (wanted && small_files_->wants_install(operation.count)) return start(operation);
    const SmallFile file = small_files_->take(operation.count);
    if (file.result < 0) return finish(operation, file.result);
    slots_.of(operation).place = Place::finished;
    operation.callback(operation, file);
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
    if (operation.opcode == Opcode::small_file) small_files_->give_back(operation.count);
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

}  // namespace asyncio::kernel
#endif
