// SPDX-License-Identifier: MIT
//
// What becomes of events: completions of the operations they make possible.
#include <asyncio/kernel/epoll_kernel.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/os/unix_socket.hpp>

#include <cassert>
#include <cerrno>
#include <memory>
#include <span>

#include <poll.h>
#include <sys/epoll.h>

namespace asyncio::kernel {
namespace {

constexpr std::uint32_t end_events = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t input_events = EPOLLIN | end_events;
constexpr std::uint32_t output_events = EPOLLOUT | EPOLLHUP | EPOLLERR;

}  // namespace

void EpollKernel::finish(Operation& operation, int result) {
    assert(!operation.idle());
    check_lent_memory(operation);
    detach(operation);
    operation.state = Operation::State::idle;
    in_flight_--;
    operation.callback(operation, Completion{.result = result});
}

void EpollKernel::finish_all(List& list) {
    List taken;  // those that callbacks add wait for their turn
    taken.splice_back(list);
    while (!taken.empty()) {
        Operation& operation = taken.front();
        finish(operation, operation.inline_result);
    }
}

void EpollKernel::retry_ready() {
    List taken;
    taken.splice_back(ready_);
    while (!taken.empty()) try_input(taken.pop_front());
}

void EpollKernel::try_input(Operation& operation) {
    switch (operation.opcode) {
        case Opcode::receive:
            return receive(operation, entries_[static_cast<std::size_t>(operation.fd)]);
        case Opcode::receive_from:
            return receive_datagrams(operation);
        default:
            return accept(operation);
    }
}

/// `more` is set if a short receive does not mean that nothing is left.
inline std::ptrdiff_t EpollKernel::try_receive(const Operation& operation, const Entry& entry,
                                               std::span<std::byte> buffer, bool& more) noexcept {
    if (!operation.is_socket) [[unlikely]] {
        more = true;
        return os::try_read(operation.fd, buffer);
    }
    if (!entry.is_unix) [[likely]]
        return os::receive_now(operation.fd, buffer);
    const os::Received received = os::receive_bytes_now(operation.fd, buffer);
    more |= received.truncated;
    return received.bytes;
}

void EpollKernel::on_output(int fd, std::uint32_t events) {
    Operation* operation = entries_[static_cast<std::size_t>(fd)].output;
    assert(operation != nullptr);
    if (operation->opcode == Opcode::poll) {
        const std::uint32_t wanted = operation->events | EPOLLERR | EPOLLHUP;
        if ((events & wanted) != 0) finish(*operation, static_cast<int>(events & wanted));
        return;
    }
    check_lent_memory(*operation);
    if (operation->opcode == Opcode::connect) {
        const int result = begin_connect(*operation);
        if (result == -EALREADY || result == -EINPROGRESS) return;
        finish(*operation, result == -EISCONN ? 0 : result);
        return;
    }
    const auto sent = try_send(*operation);
    if (sent != again) finish(*operation, static_cast<int>(sent));
}

inline void EpollKernel::receive(Operation& operation, Entry& entry) {
    if (received_ >= received_per_wait) [[unlikely]] {
        entry.readable = true;
        ready_.push_back(operation);
        return;
    }
    const std::span scratch(scratch_.get(), scratch_size);
    bool more = entry.ended;
    const auto received = try_receive(operation, entry, scratch, more);
    if (received > 0) [[likely]] {
        const auto size = static_cast<std::size_t>(received);
        received_ += size;
        entry.readable = more || size == scratch_size;
        if (entry.readable) [[unlikely]]
            ready_.push_back(operation);
        operation.callback(operation, Completion{.result = static_cast<int>(received),
                                                 .more = true,
                                                 .data = scratch.first(size)});
        return;
    }
    receiving_ended(operation, entry, static_cast<int>(received));
}

/// Nothing was received.
void EpollKernel::receiving_ended(Operation& operation, Entry& entry, int result) {
    entry.readable = result == 0;  // the end of a stream stays where it is
    if (result == -EINTR) {
        entry.readable = true;  // perhaps: there may be no other edge
        ready_.push_back(operation);
    } else if (result != again) {
        finish(operation, result);
    }
}

void EpollKernel::receive_datagrams(Operation& operation) {
    if (received_ >= received_per_wait) {
        ready_.push_back(operation);
        return;
    }
    if (batch_ == nullptr) batch_ = std::make_unique<DatagramBatch>();
    Entry& entry = entries_[static_cast<std::size_t>(operation.fd)];
    const int count = batch_->receive(operation.fd);
    entry.readable = count == static_cast<int>(DatagramBatch::most) || entry.ended;
    if (count == again) {
        entry.readable = false;
        return;
    }
    if (count < 0) {
        entry.readable = true;  // an error says nothing of what is behind it
        return finish(operation, count);
    }
    if (entry.readable) ready_.push_back(operation);
    in_batch_ = &operation;
    for (int i = 0; i < count && in_batch_ == &operation; i++) {
        const Datagram datagram = (*batch_)[i];
        received_ += datagram.data.size() + sizeof(Datagram);
        operation.callback(operation, datagram);
    }
    in_batch_ = nullptr;
}

bool EpollKernel::owns_input(int fd, const Operation& operation) const noexcept {
    return entries_[static_cast<std::size_t>(fd)].input == &operation;
}

void EpollKernel::accept(Operation& operation) {
    const int fd = operation.fd;
    for (int i = 0; i < accept_burst; i++) {
        const int result = os::try_accept(fd);
        if (result == again) {
            entries_[static_cast<std::size_t>(fd)].readable = false;
            return;
        }
        if (result < 0 && os::is_transient_accept_error(-result)) continue;
        // A final error (EMFILE) leaves `readable` set: connections wait, and no edge will say so.
        if (result < 0) return finish(operation, result);
        operation.callback(operation, Completion{.result = result, .more = true});
        if (!owns_input(fd, operation)) return;
    }
    if (!operation.linked()) ready_.push_back(operation);
}

// --- events -------------------------------------------------------------------------------------

[[gnu::always_inline]] inline void EpollKernel::on_input(Entry& entry, std::uint32_t events) {
    Operation* operation = entry.input;
    if (operation != nullptr && operation->opcode == Opcode::receive) [[likely]] {
        if (!operation->linked()) receive(*operation, entry);
        return;  // ready_ has it: next turn
    }
    on_rare_input(entry, events);
}

/// Of anything but a receive.
void EpollKernel::on_rare_input(Entry& entry, std::uint32_t events) {
    Operation* operation = entry.input;
    if (operation != nullptr && operation->opcode == Opcode::poll) {
        const std::uint32_t wanted = operation->events | EPOLLERR | EPOLLHUP;
        if ((events & wanted) != 0) finish(*operation, static_cast<int>(events & wanted));
        return;
    }
    entry.readable = true;
    if (operation != nullptr && !operation->linked()) try_input(*operation);
}

[[gnu::always_inline]] inline void EpollKernel::on_event(const epoll_event& event) {
    const std::uint64_t tag = event.data.u64;
    if (tag == wake_tag) [[unlikely]] {
        wake_.acknowledge();
        return;
    }
    const int fd = static_cast<int>(tag & 0xffffffff);
    const auto generation = static_cast<std::uint32_t>(tag >> 32);
    Entry& entry = entries_[static_cast<std::size_t>(fd)];
    if (entry.generation != generation) [[unlikely]]
        return;
    if ((event.events & end_events) != 0) [[unlikely]]
        entry.ended = true;
    // What input's callback starts to send finds out itself whether there is room.
    const bool sends = entry.output != nullptr && (event.events & output_events) != 0;
    if ((event.events & input_events) != 0) on_input(entry, event.events);
    if (!sends) [[likely]]
        return;
    // The callback may have closed it, or moved the table.
    const Entry& now = entries_[static_cast<std::size_t>(fd)];
    if (now.output != nullptr && now.generation == generation) on_output(fd, event.events);
}

/// What one wait() brought, in the order of K6.
void EpollKernel::dispatch(std::span<const epoll_event> events) {
    finish_all(finished_inputs_);
    retry_ready();
    for (const epoll_event& event : events) on_event(event);
    finish_all(finished_outputs_);
}

}  // namespace asyncio::kernel
