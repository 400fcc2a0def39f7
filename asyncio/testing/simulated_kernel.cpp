// SPDX-License-Identifier: MIT
#include <asyncio/kernel/datagram.hpp>
#include <asyncio/os/file_call.hpp>
#include <asyncio/testing/simulated_kernel.hpp>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <stdexcept>

#include <poll.h>

namespace asyncio::testing {

using kernel::Completion;
using kernel::Opcode;

SimulatedKernel::SimulatedKernel(Network& network, NetworkHost& host)
    : network_(network), host_(host), scratch_(new std::byte[kScratch]) {}

SimulatedKernel::~SimulatedKernel() {
    while (!files_.empty()) reclaim(*files_.back().operation);
    for (const Entry& entry : entries_)
        for (Operation* operation : {entry.input, entry.output})
            if (operation != nullptr) reclaim(*operation);
    assert(in_flight_ == 0);
}

/// Null for what is no descriptor of the host.
SimulatedKernel::Entry* SimulatedKernel::entry_of(int fd) noexcept {
    if (!os::is_simulated(fd)) return nullptr;
    const auto index = static_cast<std::size_t>(fd - os::kFirstSimulated);
    if (index >= NetworkHost::kMostSockets) return nullptr;
    if (index >= entries_.size()) entries_.resize(index + 1);
    return &entries_[index];
}

SimulatedKernel::Operation*& SimulatedKernel::side(Operation& operation) noexcept {
    Entry& entry = *entry_of(operation.fd);
    return operation.is_input() ? entry.input : entry.output;
}

bool SimulatedKernel::finish_inline(Operation& operation, int result) noexcept {
    operation.inline_result = result;
    return false;
}

bool SimulatedKernel::submit(Operation& operation) noexcept {
    assert(operation.idle());
    if (operation.opcode == Opcode::file) return submit_file(operation);
    if (operation.opcode == Opcode::small_file) return finish_inline(operation, -ENOTSUP);
    if (!host_.has(operation.fd)) return finish_inline(operation, -EBADF);
    if (side(operation) != nullptr) return finish_inline(operation, -EBUSY);
    if (operation.opcode == Opcode::send &&
        !network_.random().chance(network_.faults.queued_send)) {
        const auto sent = host_.send(operation.fd, operation.buffers, operation.count);
        if (sent != kNothing) return finish_inline(operation, static_cast<int>(sent));
    }
    if (operation.opcode == Opcode::connect) {
        const auto address = SocketAddress::from_raw(operation.address, operation.count);
        const int result = host_.connect(operation.fd, address);
        if (result != -EINPROGRESS && result != -EALREADY) return finish_inline(operation, result);
    }
    side(operation) = &operation;
    operation.state = Operation::State::submitted;
    in_flight_++;
    asked_ = true;
    return true;
}

void SimulatedKernel::cancel(Operation& operation) noexcept {
    if (operation.state != Operation::State::submitted) return;
    operation.state = Operation::State::cancelling;
    asked_ = true;
}

void SimulatedKernel::detach(Operation& operation) noexcept {
    if (operation.opcode == Opcode::file) {
        std::erase_if(files_, [&](const FileOperation& f) { return f.operation == &operation; });
    } else {
        assert(side(operation) == &operation);
        side(operation) = nullptr;
    }
    operation.state = Operation::State::idle;
    in_flight_--;
}

void SimulatedKernel::reclaim(Operation& operation) noexcept {
    if (operation.idle()) return;
    if (operation.opcode == Opcode::file) dispose_of(operation);
    detach(operation);
}

void SimulatedKernel::close(int fd) noexcept {
    [[maybe_unused]] const Entry* entry = entry_of(fd);
    assert(entry == nullptr || (entry->input == nullptr && entry->output == nullptr));
    host_.close(fd);
}

bool SimulatedKernel::may_have_events() const noexcept {
    return asked_ || host_.changes() != seen_changes_ || woken_.load();
}

// --- waiting -------------------------------------------------------------------------------------

void SimulatedKernel::wait(std::optional<Duration> timeout) {
    Agenda& agenda = network_.agenda();
    const TimePoint deadline = timeout ? deadline_after(agenda.now(), *timeout) : TimePoint::max();
    for (;;) {
        const bool woken = woken_.exchange(false);
        if (deliver() || woken || agenda.now() >= deadline) return;
        if (may_have_events()) continue;  // put off
        const std::optional<TimePoint> next = agenda.next();
        if (!next && !timeout) throw std::logic_error("the simulated host would wait for ever");
        agenda.advance_to(next ? std::min(*next, deadline) : deadline);
    }
}

/// Look at every descriptor once, in an order of the seed's. True if a callback was called.
bool SimulatedKernel::deliver() {
    asked_ = false;
    seen_changes_ = host_.changes();
    std::vector<int> fds;
    for (std::size_t i = 0; i < entries_.size(); ++i)
        if (entries_[i].input != nullptr || entries_[i].output != nullptr)
            fds.push_back(os::kFirstSimulated + static_cast<int>(i));
    network_.random().shuffle(fds);
    bool any = deliver_files();
    for (const int fd : fds) {
        any = attend(fd, true) || any;
        any = attend(fd, false) || any;
    }
    return any;
}

bool SimulatedKernel::attend(int fd, bool input) {
    const Entry& entry = *entry_of(fd);
    Operation* const operation = input ? entry.input : entry.output;
    if (operation == nullptr) return false;
    Random& random = network_.random();
    if (random.chance(network_.faults.late_completion)) {
        asked_ = true;
        return false;
    }
    if (operation->state == Operation::State::submitted) return attempt(*operation);
    if (random.chance(network_.faults.late_cancel) && attempt(*operation)) {
        if (is_in_flight(fd, *operation)) asked_ = true;  // a multishot one has to end yet
        return true;
    }
    finish(*operation, -ECANCELED);
    return true;
}

bool SimulatedKernel::is_in_flight(int fd, const Operation& operation) noexcept {
    const Entry& entry = *entry_of(fd);
    return entry.input == &operation || entry.output == &operation;
}

// --- files ---------------------------------------------------------------------------------------

bool SimulatedKernel::submit_file(Operation& operation) noexcept {
    FileOperation file{&operation, now() + host_.disk().latency(), std::nullopt};
    if (network_.random().chance(0.5)) file.result = host_.disk().perform(*operation.file_call);
    network_.agenda().at(file.due, [&host = host_] { host.note_change(); });
    files_.push_back(file);
    operation.state = Operation::State::submitted;
    in_flight_++;
    return true;
}

/// Nobody hears its answer: what it has opened is closed, what it was to close, too (K4).
void SimulatedKernel::dispose_of(const Operation& operation) noexcept {
    const auto file = std::ranges::find(files_, &operation, &FileOperation::operation);
    assert(file != files_.end());
    if (file->result && *file->result >= 0 && operation.file_call->kind == os::FileCall::Kind::open)
        host_.close(*file->result);
    else if (!file->result && operation.file_call->kind == os::FileCall::Kind::close)
        host_.close(operation.file_call->fd);
}

bool SimulatedKernel::deliver_files() {
    std::vector<Operation*> due;
    for (const FileOperation& file : files_)
        if (file.due <= now() || file.operation->state == Operation::State::cancelling)
            due.push_back(file.operation);
    network_.random().shuffle(due);
    bool any = false;
    for (Operation* const operation : due) any = attend_file(*operation) || any;
    return any;
}

/// False: it was put off, or reclaimed meanwhile.
bool SimulatedKernel::attend_file(Operation& operation) {
    const auto file = std::ranges::find(files_, &operation, &FileOperation::operation);
    if (file == files_.end()) return false;
    const bool cancelled = operation.state == Operation::State::cancelling;
    if (file->due > now() && !cancelled) return false;  // another one in its place
    Random& random = network_.random();
    if (random.chance(network_.faults.late_completion)) {
        asked_ = true;
        return false;
    }
    if (!file->result && cancelled && !random.chance(network_.faults.late_cancel)) {
        finish(operation, -ECANCELED);
        return true;
    }
    const int result = file->result ? *file->result : host_.disk().perform(*operation.file_call);
    finish(operation, result);
    return true;
}

// --- completions ---------------------------------------------------------------------------------

void SimulatedKernel::tell(Operation& operation, const Completion& completion) {
    network_.trace().add(host_.number(), static_cast<std::uint64_t>(operation.opcode),
                         static_cast<std::uint64_t>(operation.fd), completion.result,
                         now().time_since_epoch().count());
    operation.callback(operation, completion);
}

void SimulatedKernel::finish(Operation& operation, int result) {
    check_lent_memory(operation);
    detach(operation);
    tell(operation, Completion{.result = result});
}

/// True if something came of it.
bool SimulatedKernel::attempt(Operation& operation) {
    switch (operation.opcode) {
        case Opcode::receive:
            return receive(operation);
        case Opcode::receive_from:
            return receive_datagram(operation);
        case Opcode::accept:
            return accept(operation);
        default:
            break;
    }
    const int result = result_of(operation);
    if (result == kNothing) return false;
    finish(operation, result);
    return true;
}

int SimulatedKernel::result_of(Operation& operation) noexcept {
    if (operation.opcode == Opcode::connect) {
        const int result = host_.connect_result(operation.fd);
        return result == -EINPROGRESS ? kNothing : result;
    }
    if (operation.opcode == Opcode::send)
        return static_cast<int>(host_.send(operation.fd, operation.buffers, operation.count));
    const unsigned wanted = operation.events | POLLERR | POLLHUP | POLLNVAL;
    const unsigned ready = host_.readiness(operation.fd) & wanted;
    return ready == 0 ? kNothing : static_cast<int>(ready);
}

bool SimulatedKernel::receive(Operation& operation) {
    const std::span scratch(scratch_.get(), kScratch);
    const auto received = host_.receive(operation.fd, scratch);
    if (received == kNothing) return false;
    const int result = static_cast<int>(received);
    if (result <= 0) {
        finish(operation, result);
        return true;
    }
    asked_ = true;  // there may be more
    tell(operation, Completion{.result = result,
                               .more = true,
                               .data = scratch.first(static_cast<std::size_t>(received))});
    return true;
}

bool SimulatedKernel::receive_datagram(Operation& operation) {
    const std::span scratch(scratch_.get(), kScratch);
    SocketAddress from;
    const auto received = host_.receive_from(operation.fd, scratch, from);
    if (received == kNothing) return false;
    if (received < 0) {
        finish(operation, static_cast<int>(received));
        return true;
    }
    asked_ = true;
    kernel::Datagram datagram;
    datagram.result = static_cast<int>(received);
    datagram.more = true;
    datagram.data = scratch.first(static_cast<std::size_t>(received));
    datagram.address = from.raw();
    datagram.address_size = from.size();
    tell(operation, datagram);
    return true;
}

bool SimulatedKernel::accept(Operation& operation) {
    const int fd = operation.fd;
    bool any = false;
    for (int i = 0; i < kAcceptBurst; ++i) {
        const int result = host_.accept(fd);
        if (result == kNothing) return any;
        any = true;
        if (result == -ECONNABORTED) continue;  // concerns that connection only
        if (result < 0) {
            finish(operation, result);
            return true;
        }
        tell(operation, Completion{.result = result, .more = true});
        if (!is_in_flight(fd, operation)) return true;
    }
    asked_ = true;
    return any;
}

}  // namespace asyncio::testing
