// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/base/system_error.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/report_error.hpp>
#include <asyncio/net/socket_records.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/stream/bytes.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <utility>

#include <poll.h>
#include <sys/uio.h>

namespace asyncio::net {

namespace {

constexpr std::size_t kHeldPiece = 65536;  // of what is held, told at once

}  // namespace

struct SocketTransport::Addresses {
    SocketAddress peer;
    SocketAddress local;
};

Ref<SocketTransport> SocketTransport::open(EventLoop& loop, os::Fd fd,
                                           Ref<stream::Protocol> protocol) {
    Ref<SocketTransport> transport = create(loop, std::move(fd), std::move(protocol));
    transport->start();
    return transport;
}

Ref<SocketTransport> SocketTransport::create(EventLoop& loop, os::Fd fd,
                                             Ref<stream::Protocol> protocol) {
    Ref<SocketTransport> transport = make(loop, fd.get(), std::move(protocol));
    (void)fd.release();
    return transport;
}

/// Takes `fd` over, unless it throws.
Ref<SocketTransport> SocketTransport::make(EventLoop& loop, int fd,
                                           Ref<stream::Protocol> protocol) {
    Ref<SocketTransport> transport(new SocketTransport(loop, fd, std::move(protocol)));
    loop.own_descriptor(fd, true);
    os::set_option(fd, os::SocketOption::no_delay, 1);  // fails on unix sockets
    transport->add_ref();                               // its own, until lost
    loop.members().push_back(*transport);
    return transport;
}

Ref<SocketTransport> SocketTransport::open_pipe(EventLoop& loop, int fd,
                                                Ref<stream::Protocol> protocol,
                                                Direction direction) {
    const os::FileKind kind = os::kind_of(fd);
    if (kind == os::FileKind::none)
        os::throw_system_error(errno, "make a pipe transport of descriptor " + std::to_string(fd));
    if (kind == os::FileKind::other)
        throw std::invalid_argument("a pipe transport is for pipes, sockets and character devices");
    const bool blocked = !os::is_nonblocking(fd);
    const Ref<SocketTransport> transport = make(loop, fd, std::move(protocol));
    if (blocked) os::set_nonblocking(fd);
    SocketTransport& self = *transport;
    self.receive_.is_socket = self.send_.is_socket = kind == os::FileKind::socket;
    self.direction_ = direction;
    self.make_blocking_again_ = blocked;
    if (direction == Direction::read) self.refusal_ = "this transport is for reading only";
    const bool has_reader = kind == os::FileKind::pipe || kind == os::FileKind::socket;
    self.start();
    if (direction == Direction::write && has_reader) self.watch_reader();
    return transport;
}

void SocketTransport::start() {
    reading_ = direction_ != Direction::write;
    const Ref<SocketTransport> keep(this);
    const ContextScope scope(context_);
    const Ref<stream::Protocol> protocol = protocol_;
    try {
        protocol->connection_made(*this);
    } catch (...) {
        lose(std::current_exception());
        report("Fatal error: protocol.connection_made() call failed.");
        return;
    }
    if (reading_) resume_reading();
}

SocketTransport::SocketTransport(EventLoop& loop, int fd, Ref<stream::Protocol> protocol)
    : Runnable(&take_turn),
      loop_(loop),
      protocol_(std::move(protocol)),
      context_(ContextSlot::copy_current()),
      foreign_protocol_(protocol_->runs_foreign_code()) {
    receive_.owner = send_.owner = this;
    receive_.fd = send_.fd = fd;
}

SocketTransport::~SocketTransport() = default;

void SocketTransport::belong_to(LossListener& owner, IntrusiveList<SocketTransport>& connections) {
    owner_ = Ref<LossListener>(&owner);
    connections.push_back(*this);
}

// --- reading -----------------------------------------------------------------------------------

void SocketTransport::pause_reading() {
    if (direction_ == Direction::write) return;
    reading_ = false;
    if (!receive_.idle()) loop_.kernel().cancel(receive_);
}

void SocketTransport::resume_reading() {
    if (stage_ != Stage::open || eof_seen_ || direction_ == Direction::write) return;
    reading_ = true;
    if (holds()) queue_turn();
    receive();
}

void SocketTransport::receive() {
    if (holds()) return;           // is told first: who reads slowly would be kept ever more
    if (!receive_.idle()) return;  // being cancelled: its last completion submits it again
    if (!loop_.kernel().submit(receive_)) receiving_ended(receive_.inline_result);
}

void SocketTransport::on_receive(kernel::Operation& operation,
                                 const kernel::Completion& completion) {
    auto& self = *static_cast<SocketTransport*>(operation.owner);
    if (self.stage_ != Stage::open || !completion.more) [[unlikely]]
        return self.receiving_ended(completion.result);
    if (self.foreign_protocol_) return self.received(completion.data);
    try {  // what a user's protocol needs, one of the library's own does without
        self.protocol_->data_received(completion.data);
    } catch (...) {
        self.receiver_failed();
    }
}

void SocketTransport::received(std::span<const std::byte> data) {
    const ContextScope scope(context_);
    const Ref<stream::Protocol> protocol = protocol_;  // it may be replaced by what is called
    try {
        if (reading_ && !holds())
            protocol->data_received(data);
        else
            held_.append(data);
    } catch (...) {
        receiver_failed();
    }
}

/// The protocol reads again. What still comes meanwhile is held, too, until all of it is told.
void SocketTransport::deliver_held() {
    const Ref<SocketTransport> keep(this);
    const ContextScope scope(context_);
    try {
        while (stage_ == Stage::open && reading_ && !held_.empty()) {
            const std::string piece = held_.take(std::min(held_.size(), kHeldPiece));
            const Ref<stream::Protocol> protocol = protocol_;
            protocol->data_received(stream::bytes_of(piece));
        }
    } catch (...) {
        receiver_failed();
    }
    if (stage_ != Stage::open || !reading_ || !held_.empty()) return;
    foreign_protocol_ = protocol_->runs_foreign_code();
    const int end = std::exchange(held_end_, kNoEnd);
    if (end == kNoEnd)
        receive();
    else
        receiving_ended(end);
}

/// Inside a catch.
void SocketTransport::receiver_failed() {
    const ContextScope scope(context_);
    lose(std::current_exception());
    report("Fatal error: protocol.data_received() call failed.");
}

/// The last completion: end of stream, error, or because it was asked to end; or one that comes too
/// late for the protocol.
void SocketTransport::receiving_ended(int result) {
    const ContextScope scope(context_);
    if (stage_ == Stage::losing) finish_if_idle();
    if (stage_ != Stage::open) return;
    if (direction_ == Direction::write) {
        if (result != -ECANCELED) reader_gone();
    } else if (foreign_protocol_ && result != -ECANCELED && (!reading_ || holds())) {
        held_end_ = result;
    } else if (result == 0) {
        received_eof();
    } else if (result != -ECANCELED) {
        lose_by(-result, "receive");
    } else if (reading_) {
        receive();  // resumed meanwhile
    }
}

void SocketTransport::received_eof() {
    eof_seen_ = true;
    reading_ = false;
    const Ref<stream::Protocol> protocol = protocol_;
    try {
        const bool stays_open = protocol->eof_received();
        if (!stays_open || direction_ == Direction::read) close();
    } catch (...) {
        lose(std::current_exception());
        report("Fatal error: protocol.eof_received() call failed.");
    }
}

/// Polling the writing end of a pipe tells, besides errors, that its last reader closed it.
void SocketTransport::watch_reader() {
    if (stage_ != Stage::open) return;
    receive_.opcode = kernel::Opcode::poll;
    receive_.events = POLLIN;
    (void)loop_.kernel().submit(receive_);
}

void SocketTransport::reader_gone() {
    if (get_write_buffer_size() > 0)
        lose_by(EPIPE, "write");
    else
        lose(nullptr);
}

// --- the end -----------------------------------------------------------------------------------

void SocketTransport::set_protocol(Ref<stream::Protocol> protocol) {
    if (stage_ == Stage::lost) return;
    const Ref<stream::Protocol> before = std::exchange(protocol_, std::move(protocol));
    foreign_protocol_ = protocol_->runs_foreign_code() || holds();
    before->replaced();
}

void SocketTransport::close() {
    if (stage_ != Stage::open) return;
    stage_ = Stage::closing;
    begin_closing();
    if (direct_ != nullptr) direct_->changed.wake_all();
    pause_reading();
    if (get_write_buffer_size() == 0)
        flushed();
    else if (send_.idle())
        loop_.before_poll(*this);
}

void SocketTransport::abort() {
    if (stage_ <= Stage::closing) lose(nullptr);
}

/// Inside a catch: what the protocol threw goes to the loop's exception handler.
void SocketTransport::report(const char* what) noexcept {
    loop::report_error(loop_, what, std::current_exception(), [&](ExceptionContext& context) {
        context.transport = peername().to_string();
    });
}

void SocketTransport::lose_by(int errno_value, const char* what) {
    lose(make_system_error(errno_value, what));
}

/// The connection is over: `error`, or null if it was ended in order.
void SocketTransport::lose(std::exception_ptr error) {
    if (stage_ >= Stage::losing) return;
    stage_ = Stage::losing;
    begin_closing();
    error_ = std::move(error);
    reading_ = false;
    held_.clear();
    pending_.clear();
    PollHook::unlink();
    if (records_ != nullptr) records_->forget();
    if (direct_ != nullptr) direct_->changed.wake_all();
    kernel::Kernel& kernel = loop_.kernel();
    kernel.cancel(receive_);
    kernel.cancel(send_);
    finish_if_idle();
}

void SocketTransport::finish_if_idle() {
    if (receive_.idle() && send_.idle()) queue_turn();
}

void SocketTransport::queue_turn() noexcept {
    if (!std::exchange(turn_queued_, true)) loop_.core().ready.push(*this);
}

void SocketTransport::take_turn(Runnable& runnable, Turn turn) {
    auto& self = static_cast<SocketTransport&>(runnable);
    if (turn != Turn::run) return;
    self.turn_queued_ = false;
    if (self.stage_ == Stage::open)
        self.deliver_held();
    else if (self.stage_ == Stage::losing && self.receive_.idle() && self.send_.idle())
        self.call_connection_lost();
}

void SocketTransport::close_descriptor() noexcept {
    if (make_blocking_again_)
        os::set_blocking(receive_.fd);  // others may share it, a shell its terminal
    loop_.own_descriptor(receive_.fd, false);
    loop_.kernel().close(std::exchange(receive_.fd, -1));
}

void SocketTransport::call_connection_lost() {
    const Ref<SocketTransport> keep(this);
    const ContextScope scope(context_);
    stage_ = Stage::lost;
    sending_.clear();
    loop::Member::unlink();
    (void)drop_ref();  // its own; `keep` is there
    close_descriptor();
    const Ref<stream::Protocol> protocol = std::move(protocol_);
    try {
        protocol->connection_lost(error_);
    } catch (...) {
        report("protocol.connection_lost() failed");
    }
    InServer::unlink();
    if (const Ref<LossListener> owner = std::move(owner_)) owner->connection_lost();
}

/// The loop closes under an open connection: take the operations back and close the socket. What
/// was written in the last iteration still goes out if the system takes it at once.
void SocketTransport::loop_closed() noexcept {
    const Ref<SocketTransport> keep(this);
    if (stage_ == Stage::open) log(LogLevel::warning, "unclosed connection: closed with the loop");
    if (stage_ <= Stage::closing && send_.idle() && sending_.empty() && !pending_.empty()) {
        const std::string_view rest = pending_.view();
        const iovec part = {const_cast<char*>(rest.data()), rest.size()};
        (void)system_send(&part, 1);
    }
    PollHook::unlink();
    if (records_ != nullptr) records_->forget();
    loop_.kernel().reclaim(receive_);
    loop_.kernel().reclaim(send_);
    close_descriptor();
    stage_ = Stage::lost;
    begin_closing();
    InServer::unlink();
    owner_ = Ref<LossListener>();
    protocol_ = Ref<stream::Protocol>();
    (void)drop_ref();
}

const SocketTransport::Addresses& SocketTransport::addresses() const {
    if (!addresses_) {
        addresses_ = std::make_unique<Addresses>();
        if (receive_.fd >= 0) {
            os::peer_address(receive_.fd, addresses_->peer);
            os::local_address(receive_.fd, addresses_->local);
        }
    }
    return *addresses_;
}

const SocketAddress& SocketTransport::peername() const { return addresses().peer; }

const SocketAddress& SocketTransport::sockname() const { return addresses().local; }

}  // namespace asyncio::net
