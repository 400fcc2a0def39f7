// SPDX-License-Identifier: MIT
//
// Life of the ring, records and waiting; io_uring_completion.cpp has what becomes of completions.
#include <asyncio/os/features.hpp>
#if ASYNCIO_HAVE_LIBURING
#include <asyncio/kernel/io_uring_datagram.hpp>
#include <asyncio/kernel/io_uring_file.hpp>
#include <asyncio/kernel/io_uring_kernel.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/fork.hpp>
#include <asyncio/os/pipe.hpp>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <new>
#include <stdexcept>

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace asyncio::kernel {
namespace {

// Where every ring's wake-up read puts the eventfd's counter, which nobody looks at. Static: a read
// that a closed ring still holds may not point into a dead kernel.
std::uint64_t wake_counter_sink;

constexpr Duration retry_pause = std::chrono::milliseconds(1);
constexpr std::size_t send_limit = INT_MAX & ~std::size_t{4095};

}  // namespace

IoUringKernel::IoUringKernel(const IoUringOptions& options)
    : options_(options),
      fork_generation_(os::fork_generation()),
      wake_(WakeChannel::Mode::blocking) {
    make_ring();
    outputs_ = std::make_unique<Completion_[]>(ring_->completion_capacity());
    grow_slots();
    arm_wake();
}

void IoUringKernel::make_ring() {
    small_files_.reset();
    ring_ = std::make_unique<IoUringRing>(options_);
    messages_ = std::make_unique<msghdr[]>(ring_->capacity());
    buffers_.reset();
    datagram_buffers_.reset();
    if (ring_->has_multishot_receive()) {
        auto buffers =
            std::make_unique<IoUringBuffers>(*ring_, options_.buffers, IoUringBuffers::streams);
        if (buffers->valid()) buffers_ = std::move(buffers);
    }
}

IoUringKernel::~IoUringKernel() {
    if (!forked()) drain();
    abandon();
    small_files_.reset();
    // The ring goes first: it holds the buffers.
    ring_.reset();
}

bool IoUringKernel::forked() const noexcept {
    return fork_generation_ != os::current_fork_generation;
}

void IoUringKernel::attach_to_thread() {
    if (forked()) throw std::logic_error("asyncio: this loop belongs to the parent process");
    if (ring_->enabled() && on_owner_thread()) return;
    if (ring_->enabled()) rebuild();
    ring_->enable();
    owner_ = ::pthread_self();
}

/// A ring belongs to the thread that enabled it, and cannot be handed over. Its pending wake-up
/// read stays in the old ring, with the old eventfd.
void IoUringKernel::rebuild() {
    if (in_flight_ != 0)
        throw std::logic_error("asyncio: this loop has operations in flight in another thread");
    for (Completion_ completion; next_completion(completion);) dispose(completion);
    wake_.renew();
    const auto old_buffers = std::move(buffers_);
    const auto old_datagram_buffers = std::move(datagram_buffers_);
    const auto old_ring = std::move(ring_);
    make_ring();
    wake_armed_ = false;
}

/// All operations become idle, whatever the system does.
void IoUringKernel::abandon() noexcept {
    slots_.for_each_operation([this](Operation& operation) { forget(operation); });
}

// --- records ------------------------------------------------------------------------------------

std::uint64_t IoUringKernel::tag_of(const Operation& operation) noexcept {
    return tag_of(operation, slots_.of(operation));
}

std::uint64_t IoUringKernel::tag_of(const Operation& operation,
                                    const IoUringSlots::Slot& slot) noexcept {
    static_assert(static_cast<int>(Opcode::accept) == 0 &&
                  static_cast<int>(Opcode::small_file) == 7);
    constexpr Kind kinds[] = {Kind::accept, Kind::connect, Kind::receive,      Kind::send,
                              Kind::poll,   Kind::file,    Kind::receive_from, Kind::small_open};
    Kind kind = slot.by_readiness ? Kind::poll : kinds[static_cast<int>(operation.opcode)];
    if (kind == Kind::file && operation.file_call->kind == os::FileCall::Kind::open)
        kind = Kind::open;
    return IoUringSlots::tag(kind, operation.slot, slot.generation);
}

bool IoUringKernel::submit(Operation& operation) noexcept {
    assert(operation.idle());
    operation.inline_result = -EOWNERDEAD;
    if (forked()) [[unlikely]]
        return false;
    if (operation.opcode == Opcode::file && !knows(*operation.file_call)) {
        operation.inline_result = -ENOTSUP;
        return false;
    }
    if (operation.opcode == Opcode::small_file && !has_small_files()) {
        operation.inline_result = -ENOTSUP;
        return false;
    }
    const bool is_write = operation.opcode == Opcode::send && !operation.is_socket;
    if (is_write && !writes_later(operation)) return false;
    try {
        if (slots_.full()) [[unlikely]]
            grow_slots();
        operation.slot = slots_.acquire(operation);
    } catch (const std::bad_alloc&) {
        operation.inline_result = -ENOMEM;
        return false;
    }
    if (operation.opcode == Opcode::receive)
        slots_[operation.slot].by_readiness = buffers_ == nullptr || !operation.is_socket;
    if (is_write) slots_[operation.slot].by_readiness = true;
    if (operation.opcode == Opcode::receive_from)
        slots_[operation.slot].by_readiness = !has_datagram_buffers();
    if (operation.opcode == Opcode::accept)
        slots_[operation.slot].by_readiness = !ring_->has_multishot_accept();
    if (operation.opcode == Opcode::small_file) operation.count = small_files_->lend();
    operation.state = Operation::State::submitted;
    in_flight_++;
    start(operation);
    return true;
}

/// Room for what may have to be deferred with one operation more. Throws std::bad_alloc.
void IoUringKernel::grow_slots() {
    constexpr std::size_t for_each = 2;  // its end, and a cancel that failed
    const std::size_t buffers =
        options_.buffers + std::min(options_.buffers, most_datagram_buffers);
    const std::size_t needed =
        ring_->completion_capacity() + buffers + for_each * (slots_.size() + 1) +
        IoUringSmallFiles::most;  // of these each has three ends, and no cancels
    if (needed > deferred_.capacity())
        deferred_.reserve(std::max(needed, deferred_.capacity() + deferred_.capacity() / 2));
}

/// Made when first needed: few programs receive datagrams.
bool IoUringKernel::has_datagram_buffers() noexcept {
    if (datagram_buffers_ != nullptr || buffers_ == nullptr) return datagram_buffers_ != nullptr;
    if (!ring_->enabled() || !on_owner_thread()) return false;
    datagram_buffers_.reset(new (std::nothrow) IoUringBuffers(
        *ring_, std::min(options_.buffers, most_datagram_buffers), IoUringBuffers::datagrams));
    if (datagram_buffers_ != nullptr && !datagram_buffers_->valid()) datagram_buffers_.reset();
    return datagram_buffers_ != nullptr;
}

/// Made when first needed. False: there are none, or too many are being read.
bool IoUringKernel::has_small_files() noexcept {
    if (!ring_->enabled() || !on_owner_thread()) return false;
    if (small_files_ == nullptr) small_files_.reset(new (std::nothrow) IoUringSmallFiles(*ring_));
    return small_files_ != nullptr && small_files_->valid() && !small_files_->full();
}

/// A write that is no send is tried first. False: it is done.
bool IoUringKernel::writes_later(Operation& operation) noexcept {
    const auto written = os::try_write(operation.fd, operation.buffers, operation.count);
    operation.inline_result = static_cast<int>(written);
    return written == -EAGAIN;
}

bool IoUringKernel::knows(const os::FileCall& call) const noexcept {
    return ring_->knows(io_uring_opcode_of(call.kind));
}

/// Write the operation's record, or remember to.
void IoUringKernel::start(Operation& operation) noexcept {
    if (operation.opcode == Opcode::small_file) [[unlikely]]
        return start_small_file(operation);
    IoUringSlots::Slot& slot = slots_.of(operation);
    io_uring_sqe* record = backlog_.empty() ? ring_->next_record() : nullptr;
    if (record == nullptr) [[unlikely]] {
        slot.place = Place::backlog;
        backlog_.push_back(operation);
        return;
    }
    slot.place = Place::system;
    const std::uint64_t tag = tag_of(operation, slot);
    if (IoUringSlots::kind_of(tag) == Kind::send) [[likely]]
        prepare_send(*record, operation);
    else
        prepare(*record, operation, IoUringSlots::kind_of(tag));
    record->user_data = tag;
}

/// All its records, or none.
void IoUringKernel::start_small_file(Operation& operation) noexcept {
    IoUringSlots::Slot& slot = slots_.of(operation);
    const unsigned room = ring_->capacity() - ring_->queued();
    if (!backlog_.empty() || room < small_files_->records(operation.count)) [[unlikely]] {
        slot.place = Place::backlog;
        backlog_.push_back(operation);
        return;
    }
    slot.place = Place::system;
    small_files_->write(operation.count, operation.path, tag_of(operation, slot));
}

/// All kinds but send.
void IoUringKernel::prepare(io_uring_sqe& record, const Operation& operation, Kind kind) noexcept {
    switch (kind) {
        case Kind::accept:
            ::io_uring_prep_multishot_accept(&record, operation.fd, nullptr, nullptr,
                                             SOCK_CLOEXEC | SOCK_NONBLOCK);
            return;
        case Kind::receive:
            ::io_uring_prep_recv_multishot(&record, operation.fd, nullptr, 0, 0);
            record.flags = IOSQE_BUFFER_SELECT;
            record.buf_group = IoUringBuffers::streams.group;
            return;
        case Kind::receive_from:
            ::io_uring_prep_recvmsg_multishot(&record, operation.fd, &io_uring_datagram_layout(),
                                              0);
            record.flags = IOSQE_BUFFER_SELECT;
            record.buf_group = IoUringBuffers::datagrams.group;
            return;
        case Kind::connect:
            ::io_uring_prep_connect(&record, operation.fd, operation.address, operation.count);
            return;
        case Kind::file:
        case Kind::open:
            return prepare_file_call(record, *operation.file_call);
        default:
            ::io_uring_prep_poll_add(&record, operation.fd,
                                     operation.opcode == Opcode::poll   ? operation.events
                                     : operation.opcode == Opcode::send ? unsigned{POLLOUT}
                                                                        : unsigned{POLLIN});
    }
}

void IoUringKernel::prepare_send(io_uring_sqe& record, const Operation& operation) noexcept {
    if (operation.count == 1) {
        const iovec& buffer = *operation.buffers;
        ::io_uring_prep_send(&record, operation.fd, buffer.iov_base,
                             std::min(buffer.iov_len, send_limit), MSG_NOSIGNAL);
        return;
    }
    // Read by the system when it takes the record; the record's next user overwrites it.
    msghdr& message = messages_[ring_->index_of(record)];
    message = {};
    message.msg_iov = const_cast<iovec*>(operation.buffers);  // not written through
    message.msg_iovlen = std::min<std::size_t>(operation.count, IOV_MAX);
    ::io_uring_prep_sendmsg(&record, operation.fd, &message, MSG_NOSIGNAL);
}

bool IoUringKernel::write_cancel(std::uint64_t tag) noexcept {
    io_uring_sqe* record = ring_->next_record();
    if (record == nullptr) return false;
    ::io_uring_prep_cancel64(record, tag, 0);
    record->flags = ring_->skip_success();
    record->user_data = IoUringSlots::with_kind(tag, Kind::cancel);
    return true;
}

void IoUringKernel::arm_wake() noexcept {
    io_uring_sqe* record = ring_->next_record();
    if (record == nullptr) return;  // the next wait() tries again
    ::io_uring_prep_read(record, wake_.fd(), &wake_counter_sink, sizeof wake_counter_sink, 0);
    record->user_data = IoUringSlots::tag(Kind::wake, 0, 0);
    wake_armed_ = true;
}

void IoUringKernel::cancel(Operation& operation) noexcept {
    if (operation.state != Operation::State::submitted) return;
    operation.state = Operation::State::cancelling;
    switch (slots_.of(operation).place) {
        case Place::system:
            // What waits for nothing ends by itself.
            if (operation.opcode == Opcode::small_file) break;
            if (!write_cancel(tag_of(operation))) cancels_.push_back(operation);
            break;
        case Place::backlog:
            operation.unlink();
            finish_later(operation, -ECANCELED);
            break;
        case Place::finished:
        case Place::free:
            break;
    }
}

void IoUringKernel::fill_from_backlog() noexcept {
    if (has_leftovers()) small_files_->close_leftovers();
    while (!cancels_.empty() && write_cancel(tag_of(cancels_.front()))) cancels_.pop_front();
    List waiting;
    waiting.splice_back(backlog_);
    while (!waiting.empty() && ring_->queued() != ring_->capacity()) start(waiting.pop_front());
    backlog_.splice_back(waiting);
}

void IoUringKernel::close(int fd) noexcept { os::Fd(fd).reset(); }

// --- waiting ------------------------------------------------------------------------------------

bool IoUringKernel::has_completions() const noexcept {
    return ring_->ready() != 0 || next_deferred_ != deferred_.size() || !finished_inputs_.empty() ||
           !finished_outputs_.empty();
}

bool IoUringKernel::may_have_events() const noexcept {
    return ring_->queued() != 0 || has_completions() || ring_->holds_back() || has_backlog() ||
           wake_.pending();
}

void IoUringKernel::wait(std::optional<Duration> timeout) {
    if (!ring_->enabled() || !on_owner_thread() || forked()) [[unlikely]]
        attach_to_thread();
    if (!wake_armed_) arm_wake();
    hand_over(timeout);
    dispatch();
}

void IoUringKernel::hand_over(std::optional<Duration> timeout) {
    bool progress = true;
    while (has_backlog() && progress) {
        fill_from_backlog();
        progress = !has_backlog() || enter(0, Duration::zero());
    }
    const bool look_only = has_backlog() || has_completions() || ring_->holds_back() ||
                           (timeout && *timeout <= Duration::zero());
    if (!look_only)
        enter(1, timeout);
    else if (ring_->queued() != 0 || ring_->holds_back())
        enter(0, Duration::zero());
}

/// False when the system took nothing for now: interrupted, out of memory, or its completions have
/// to be collected first. The records stay queued.
bool IoUringKernel::enter(unsigned wait_for, std::optional<Duration> timeout) {
    const int result = ring_->enter(wait_for, timeout);
    if (result >= 0 || result == -ETIME) return true;
    if (result == -EINTR || result == -EBUSY) return false;
    if (result != -EAGAIN) os::throw_system_error(-result, "enter io_uring");
    // Out of memory for requests: no reason to spin.
    if (wait_for != 0 && !has_completions())
        ring_->wait_only(1, std::min(timeout.value_or(retry_pause), retry_pause));
    return false;
}

bool IoUringKernel::next_deferred(Completion_& completion) noexcept {
    if (next_deferred_ == deferred_.size()) [[likely]]
        return false;
    completion = deferred_[next_deferred_++];
    if (next_deferred_ == deferred_.size()) {
        deferred_.clear();
        next_deferred_ = 0;
    }
    return true;
}

bool IoUringKernel::next_completion(Completion_& completion) noexcept {
    if (next_deferred(completion)) return true;
    if (ring_->ready() == 0) return false;
    completion = ring_->pop();
    return true;
}

std::unique_ptr<Kernel> make_io_uring_kernel(const IoUringOptions& options) {
    return std::make_unique<IoUringKernel>(options);
}

}  // namespace asyncio::kernel
#else
#include <asyncio/kernel/io_uring_options.hpp>
#include <asyncio/os/error.hpp>

#include <cerrno>

namespace asyncio::kernel {

std::unique_ptr<Kernel> make_io_uring_kernel(const IoUringOptions&) {
    os::throw_system_error(ENOSYS, "set up io_uring: built without liburing");
}

}  // namespace asyncio::kernel
#endif
