// SPDX-License-Identifier: MIT
#include <asyncio/base/error.hpp>
#include <asyncio/base/log.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <system_error>

#include <poll.h>
#include <sys/uio.h>

namespace asyncio::net {

namespace {

iovec iovec_of(std::span<const std::byte> data) noexcept {
    return {const_cast<std::byte*>(data.data()), data.size()};  // not written through
}

std::exception_ptr system_error(int errno_value, const char* what) {
    return std::make_exception_ptr(std::system_error(errno_value, std::generic_category(), what));
}

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
    Ref<SocketTransport> transport(new SocketTransport(loop, fd.get(), std::move(protocol)));
    (void)fd.release();
    os::set_option(transport->fd_, os::SocketOption::no_delay, 1);  // fails on unix sockets
    transport->add_ref();                                           // its own, until lost
    loop.members().push_back(*transport);
    loop.own_descriptor(transport->fd_, true);
    return transport;
}

Ref<SocketTransport> SocketTransport::open_pipe(EventLoop& loop, int fd,
                                                Ref<stream::Protocol> protocol,
                                                Direction direction) {
    const os::FileKind kind = os::kind_of(fd);
    if (kind == os::FileKind::none || kind == os::FileKind::other)
        throw std::invalid_argument("a pipe transport is for pipes, sockets and character devices");
    const bool blocked = !os::is_nonblocking(fd);
    if (blocked) os::set_nonblocking(fd);
    const Ref<SocketTransport> transport = create(loop, os::Fd(fd), std::move(protocol));
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
      fd_(fd) {
    receive_.owner = send_.owner = this;
    receive_.fd = send_.fd = fd;
}

SocketTransport::~SocketTransport() = default;

// --- reading -----------------------------------------------------------------------------------

void SocketTransport::pause_reading() {
    if (direction_ == Direction::write) return;
    reading_ = false;
    if (!receive_.idle()) loop_.kernel().cancel(receive_);
}

void SocketTransport::resume_reading() {
    if (stage_ != Stage::open || eof_seen_ || direction_ == Direction::write) return;
    reading_ = true;
    receive();
}

void SocketTransport::receive() {
    if (!receive_.idle()) return;  // being cancelled: its last completion submits it again
    if (!loop_.kernel().submit(receive_)) received({receive_.inline_result});
}

void SocketTransport::on_receive(kernel::Operation& operation,
                                 const kernel::Completion& completion) {
    const Ref<SocketTransport> keep(static_cast<SocketTransport*>(operation.owner));
    const ContextScope scope(keep->context_);
    keep->received(completion);
}

void SocketTransport::received(const kernel::Completion& completion) {
    if (stage_ == Stage::losing) finish_if_idle();
    if (stage_ != Stage::open) return;
    const Ref<stream::Protocol> protocol = protocol_;  // it may be replaced by what is called
    if (!completion.data.empty()) {
        try {
            protocol->data_received(completion.data);
        } catch (...) {
            lose(std::current_exception());
            report("Fatal error: protocol.data_received() call failed.");
            return;
        }
    } else if (direction_ == Direction::write) {
        if (completion.result != -ECANCELED) reader_gone();
        return;
    } else if (completion.result == 0) {
        eof_seen_ = true;
        reading_ = false;
        try {
            const bool stays_open = protocol->eof_received();
            if (!stays_open || direction_ == Direction::read) close();
        } catch (...) {
            lose(std::current_exception());
            report("Fatal error: protocol.eof_received() call failed.");
            return;
        }
    } else if (completion.result != -ECANCELED) {
        lose(system_error(-completion.result, "receive"));
        return;
    }
    if (reading_ && receive_.idle() && stage_ == Stage::open) receive();
}

/// Polling the writing end of a pipe tells, besides errors, that its last reader closed it.
void SocketTransport::watch_reader() {
    if (stage_ != Stage::open) return;
    receive_.opcode = kernel::Opcode::poll;
    receive_.events = POLLIN;
    (void)loop_.kernel().submit(receive_);
}

void SocketTransport::reader_gone() {
    lose(get_write_buffer_size() > 0 ? system_error(EPIPE, "write") : nullptr);
}

// --- writing -----------------------------------------------------------------------------------

/// False if what is written now is dropped.
bool SocketTransport::writable() {
    if (refusal_ != nullptr) throw std::logic_error(refusal_);
    if (stage_ == Stage::open) [[likely]]
        return true;
    if (++lost_writes_ >= kLostWritesToReport)
        log(LogLevel::warning, "write() on a connection that is closed");
    return false;
}

std::ptrdiff_t SocketTransport::system_send(const iovec* parts, std::size_t count) noexcept {
    return send_.is_socket ? os::try_send(fd_, parts, count) : os::try_write(fd_, parts, count);
}

/// What the system takes of it now. False: the connection is lost.
bool SocketTransport::try_send(const iovec* parts, std::size_t count, std::size_t& taken) {
    const std::ptrdiff_t result = system_send(parts, count);
    taken = result > 0 ? static_cast<std::size_t>(result) : 0;
    if (result >= 0 || result == -EAGAIN) return true;
    lose(system_error(static_cast<int>(-result), "send"));
    return false;
}

/// Keep it until the next poll.
void SocketTransport::append(std::span<const std::byte> data) {
    pending().append(data);
    if (send_.idle()) loop_.before_poll(*this);
    update_flow();
}

void SocketTransport::write(std::span<const std::byte> data) {
    if (!writable() || data.empty()) return;
    if (data.size() >= kInlineWrite && get_write_buffer_size() == 0) {
        const iovec part = iovec_of(data);
        std::size_t taken = 0;
        if (!try_send(&part, 1, taken) || taken == data.size()) return;
        data = data.subspan(taken);
    }
    append(data);
}

/// How many of the lines' bytes the system takes now. If the connection is lost with it: all.
std::size_t SocketTransport::send_at_once(std::span<const std::span<const std::byte>> lines) {
    std::size_t sent = 0;
    while (!lines.empty()) {
        const auto portion = lines.first(std::min(lines.size(), kGathered));
        iovec parts[kGathered];
        std::size_t wanted = 0;
        for (std::size_t i = 0; i < portion.size(); ++i) {
            parts[i] = iovec_of(portion[i]);
            wanted += portion[i].size();
        }
        std::size_t taken = 0;
        if (!try_send(parts, portion.size(), taken)) return SIZE_MAX;
        sent += taken;
        if (taken < wanted) break;
        lines = lines.subspan(portion.size());
    }
    return sent;
}

void SocketTransport::writelines(std::span<const std::span<const std::byte>> lines) {
    if (!writable()) return;
    std::size_t total = 0;
    for (const auto line : lines) total += line.size();
    std::size_t sent = 0;
    if (total >= kInlineWrite && get_write_buffer_size() == 0) sent = send_at_once(lines);
    if (sent >= total) return;
    for (const auto line : lines) {
        const std::size_t done = std::min(sent, line.size());
        sent -= done;
        pending().append(line.subspan(done));
    }
    append({});
}

void SocketTransport::before_poll() noexcept {
    const Ref<SocketTransport> keep(this);
    const ContextScope scope(context_);
    if (stage_ <= Stage::closing && send_.idle()) send_buffered();
}

/// Send until the kernel keeps the operation, or nothing is left. REQUIRES: send_ is idle.
void SocketTransport::send_buffered() {
    if (!vector_) vector_ = std::make_unique<iovec>();
    for (;;) {
        if (sending().empty()) which_ ^= 1;
        if (sending().empty()) break;
        const std::string_view bytes = sending().view();
        *vector_ = iovec{const_cast<char*>(bytes.data()), bytes.size()};
        send_.buffers = vector_.get();
        send_.count = 1;
        if (loop_.kernel().submit(send_)) return;
        if (!sent(send_.inline_result)) return;
    }
    flushed();
}

void SocketTransport::on_send(kernel::Operation& operation, const kernel::Completion& completion) {
    const Ref<SocketTransport> keep(static_cast<SocketTransport*>(operation.owner));
    const ContextScope scope(keep->context_);
    if (operation.opcode == kernel::Opcode::poll)
        keep->writable_again();
    else if (keep->stage_ == Stage::losing)
        keep->finish_if_idle();
    else if (keep->sent(completion.result))
        keep->send_buffered();
}

/// The end of what ask_for_room() began.
void SocketTransport::writable_again() {
    send_.opcode = kernel::Opcode::send;
    if (direct_ != nullptr) direct_->changed.wake_all();
    if (stage_ == Stage::losing)
        finish_if_idle();
    else if (direct_ == nullptr)
        send_buffered();
}

/// Account for a send's result. False if the connection is lost with it.
bool SocketTransport::sent(int result) {
    if (result < 0) {
        lose(system_error(-result, "send"));
        return false;
    }
    sending().consume(static_cast<std::size_t>(result));
    update_flow();
    return stage_ <= Stage::closing;
}

void SocketTransport::flushed() {
    if (direct_ != nullptr) direct_->changed.wake_all();
    if (eof_wanted_ && !eof_sent_) {
        eof_sent_ = true;
        os::shutdown(fd_, os::Shutdown::write);
    }
    if (stage_ == Stage::closing) lose(nullptr);
}

void SocketTransport::update_flow() {
    const std::size_t size = get_write_buffer_size();
    if (writing_paused_ ? size > low_ : size <= high_) return;
    writing_paused_ = !writing_paused_;
    const Ref<stream::Protocol> protocol = protocol_;
    try {
        if (writing_paused_)
            protocol->pause_writing();
        else
            protocol->resume_writing();
    } catch (...) {
        report(writing_paused_ ? "protocol.pause_writing() failed"
                               : "protocol.resume_writing() failed");
    }
}

void SocketTransport::apply_write_buffer_limits(stream::WriteBufferLimits limits) {
    high_ = static_cast<std::uint32_t>(limits.high);
    low_ = static_cast<std::uint32_t>(limits.low);
    if (stage_ <= Stage::closing) update_flow();
}

void SocketTransport::set_protocol(Ref<stream::Protocol> protocol) {
    if (stage_ != Stage::lost) protocol_ = std::move(protocol);
}

void SocketTransport::write_eof() {
    if (stage_ != Stage::open || eof_wanted_) return;
    if (direction_ != Direction::both) return close();
    eof_wanted_ = true;
    refusal_ = "Cannot call write() after write_eof()";
    if (send_.idle()) loop_.before_poll(*this);
}

// --- sending by other means --------------------------------------------------------------------

DirectSend::DirectSend(SocketTransport& transport)
    : transport_(&transport),
      refusal_before_(transport.refusal_),
      was_reading_(transport.reading_) {
    if (transport.is_closing()) throw std::logic_error("Transport is closing");
    if (refusal_before_ != nullptr) throw std::logic_error(refusal_before_);
    transport.refusal_ = "unable to write; sendfile is in progress";
    transport.direct_ = this;
    transport.pause_reading();
}

DirectSend::~DirectSend() {
    transport_->direct_ = nullptr;
    if (transport_->eof_wanted_) return;
    transport_->refusal_ = nullptr;
    if (was_reading_ && !transport_->is_closing()) transport_->resume_reading();
}

bool DirectSend::may_send() const noexcept {
    return transport_->get_write_buffer_size() == 0 && transport_->send_.idle();
}

void DirectSend::ask_for_room() {
    kernel::Operation& send = transport_->send_;
    send.opcode = kernel::Opcode::poll;
    send.events = POLLOUT;
    if (!transport_->loop_.kernel().submit(send)) transport_->writable_again();
}

// --- the end -----------------------------------------------------------------------------------

void SocketTransport::close() {
    if (stage_ != Stage::open) return;
    stage_ = Stage::closing;
    pause_reading();
    if (get_write_buffer_size() == 0)
        lose(nullptr);
    else if (send_.idle())
        loop_.before_poll(*this);
}

void SocketTransport::abort() {
    if (stage_ <= Stage::closing) lose(nullptr);
}

/// Inside a catch: what the protocol threw goes to the loop's exception handler.
void SocketTransport::report(const char* what) noexcept {
    ExceptionContext context;
    context.message = what;
    context.exception = std::current_exception();
    context.transport = peername().to_string();
    loop_.call_exception_handler(context);
}

/// The connection is over: `error`, or null if it was ended in order.
void SocketTransport::lose(std::exception_ptr error) {
    if (stage_ >= Stage::losing) return;
    stage_ = Stage::losing;
    error_ = std::move(error);
    reading_ = false;
    pending().clear();
    PollHook::unlink();
    if (direct_ != nullptr) direct_->changed.wake_all();
    kernel::Kernel& kernel = loop_.kernel();
    kernel.cancel(receive_);
    kernel.cancel(send_);
    finish_if_idle();
}

void SocketTransport::finish_if_idle() {
    if (!receive_.idle() || !send_.idle() || turn_queued_) return;
    turn_queued_ = true;
    loop_.core().ready.push(*this);
}

void SocketTransport::take_turn(Runnable& runnable, Turn turn) {
    auto& self = static_cast<SocketTransport&>(runnable);
    if (turn == Turn::run) self.call_connection_lost();
}

void SocketTransport::close_descriptor() noexcept {
    if (make_blocking_again_) os::set_blocking(fd_);  // others may share it, a shell its terminal
    loop_.own_descriptor(fd_, false);
    loop_.kernel().close(std::exchange(fd_, -1));
}

void SocketTransport::call_connection_lost() {
    const Ref<SocketTransport> keep(this);
    const ContextScope scope(context_);
    stage_ = Stage::lost;
    sending().clear();
    loop::Member::unlink();
    (void)drop_ref();  // its own; `keep` is there
    close_descriptor();
    const Ref<stream::Protocol> protocol = std::move(protocol_);
    try {
        protocol->connection_lost(error_);
    } catch (...) {
        report("protocol.connection_lost() failed");
    }
    if (on_lost != nullptr) on_lost->connection_lost();
}

/// The loop closes under an open connection: take the operations back and close the socket. What
/// was written in the last iteration still goes out if the system takes it at once.
void SocketTransport::loop_closed() noexcept {
    const Ref<SocketTransport> keep(this);
    if (stage_ == Stage::open) log(LogLevel::warning, "unclosed connection: closed with the loop");
    if (stage_ <= Stage::closing && send_.idle() && !pending().empty() && sending().empty()) {
        const iovec part = iovec_of(pending().bytes());
        (void)system_send(&part, 1);
    }
    PollHook::unlink();
    loop_.kernel().reclaim(receive_);
    loop_.kernel().reclaim(send_);
    close_descriptor();
    stage_ = Stage::lost;
    protocol_ = Ref<stream::Protocol>();
    (void)drop_ref();
}

const SocketTransport::Addresses& SocketTransport::addresses() const {
    if (!addresses_) {
        addresses_ = std::make_unique<Addresses>();
        if (fd_ >= 0) {
            os::peer_address(fd_, addresses_->peer);
            os::local_address(fd_, addresses_->local);
        }
    }
    return *addresses_;
}

const SocketAddress& SocketTransport::peername() const { return addresses().peer; }

const SocketAddress& SocketTransport::sockname() const { return addresses().local; }

}  // namespace asyncio::net
