// SPDX-License-Identifier: MIT
//
// The writing half of SocketTransport, and DirectSend. The way of a small write: append() keeps it
// in pending_ and asks for before_poll(); that submits all of it as one send, which the kernel
// mostly takes at once, and both buffers are empty again.
#include <asyncio/base/log.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/net/socket_records.hpp>
#include <asyncio/net/socket_transport.hpp>
#include <asyncio/os/kernel_tls.hpp>
#include <asyncio/os/pipe.hpp>
#include <asyncio/os/socket.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <stdexcept>

#include <poll.h>
#include <sys/uio.h>

namespace asyncio::net {

namespace {

iovec iovec_of(std::span<const std::byte> data) noexcept {
    return {const_cast<std::byte*>(data.data()), data.size()};  // not written through
}

}  // namespace

// --- write() and its kin ------------------------------------------------------------------------

void SocketTransport::write(std::span<const std::byte> data) {
    if (refuses_writes()) [[unlikely]]
        return refuse_write();
    if (data.size() - 1 >= kInlineWrite - 1) [[unlikely]]
        return data.empty() ? void() : write_large(data);
    if (is_single_write() && pending_.empty() && sending_.empty())
        write_through(data);
    else
        append(data);
}

/// The first small write of this iteration, and not one of several as far as can be told.
bool SocketTransport::is_single_write() noexcept {
    if (write_iteration_ == loop_.iteration()) {
        wrote_again_ = true;
        return false;
    }
    write_iteration_ = loop_.iteration();
    return !std::exchange(wrote_again_, false);
}

/// What is written to a connection that is closed is dropped.
void SocketTransport::refuse_write() {
    if (refusal_ != nullptr) throw std::logic_error(refusal_);
    if (lost_writes_ < kLostWritesToReport) ++lost_writes_;
    if (lost_writes_ == kLostWritesToReport)
        log(LogLevel::warning, "write() on a connection that is closed");
}

void SocketTransport::write_through(std::span<const std::byte> data) {
    const std::ptrdiff_t sent = system_send(data);
    if (sent == std::ssize(data)) [[likely]]
        return;
    if (sent < 0 && sent != -EAGAIN && sent != -EINTR)
        return lose_by(static_cast<int>(-sent), "send");
    append(sent > 0 ? data.subspan(static_cast<std::size_t>(sent)) : data);
}

void SocketTransport::write_large(std::span<const std::byte> data) {
    if (!sending_.empty()) return append(data);
    if (pending_.empty()) return write_through(data);
    const std::size_t gathered = pending_.size();
    const iovec parts[] = {iovec_of(pending_.bytes()), iovec_of(data)};
    std::size_t taken = 0;
    if (!try_send(parts, std::size(parts), taken)) return;
    pending_.consume(std::min(taken, gathered));
    if (taken < gathered + data.size()) append(data.subspan(taken - std::min(taken, gathered)));
    resume_flow();
}

/// Keep it until the next poll.
void SocketTransport::append(std::span<const std::byte> data) {
    pending_.append(data);
    if (send_.idle()) loop_.before_poll(*this);
    if (!writing_paused_ && get_write_buffer_size() > high_) [[unlikely]]
        switch_flow();
}

/// What the system takes of it now. False: the connection is lost.
bool SocketTransport::try_send(const iovec* parts, std::size_t count, std::size_t& taken) {
    const std::ptrdiff_t result = system_send(parts, count);
    taken = result > 0 ? static_cast<std::size_t>(result) : 0;
    if (result >= 0 || result == -EAGAIN) return true;
    lose_by(static_cast<int>(-result), "send");
    return false;
}

inline std::ptrdiff_t SocketTransport::system_send(std::span<const std::byte> data) noexcept {
    if (send_.is_socket) [[likely]]
        return os::send_now(send_.fd, data);
    const iovec part = iovec_of(data);
    return os::try_write(send_.fd, &part, 1);
}

std::ptrdiff_t SocketTransport::system_send(const iovec* parts, std::size_t count) noexcept {
    return send_.is_socket ? os::try_send(send_.fd, parts, count)
                           : os::try_write(send_.fd, parts, count);
}

/// How many of the lines' bytes the system takes now. If the connection is lost with it: all.
std::size_t SocketTransport::send_at_once(std::span<const std::span<const std::byte>> lines) {
    std::size_t sent = 0;
    while (!lines.empty()) {
        const auto portion = lines.first(std::min(lines.size(), kGathered));
        lines = lines.subspan(portion.size());
        iovec parts[kGathered];
        std::size_t wanted = 0;
        for (std::size_t i = 0; i < portion.size(); ++i) {
            parts[i] = iovec_of(portion[i]);
            wanted += portion[i].size();
        }
        if (wanted == 0) continue;
        std::size_t taken = 0;
        if (!try_send(parts, portion.size(), taken)) return SIZE_MAX;
        sent += taken;
        if (taken < wanted) break;
    }
    return sent;
}

void SocketTransport::writelines(std::span<const std::span<const std::byte>> lines) {
    if (refuses_writes()) return refuse_write();
    std::size_t total = 0;
    for (const auto line : lines) total += line.size();
    std::size_t sent = 0;
    if (total >= kInlineWrite && get_write_buffer_size() == 0) sent = send_at_once(lines);
    if (sent >= total) return;
    for (const auto line : lines) {
        const std::size_t done = std::min(sent, line.size());
        sent -= done;
        pending_.append(line.subspan(done));
    }
    append({});
}

void SocketTransport::write_eof() {
    if (stage_ != Stage::open || eof_wanted_) return;
    if (direction_ != Direction::both) return close();
    eof_wanted_ = true;
    refusal_ = "Cannot call write() after write_eof()";
    if (send_.idle()) loop_.before_poll(*this);  // a direct send goes first: see flushed()
}

// --- sending ------------------------------------------------------------------------------------

void SocketTransport::before_poll() noexcept {
    const ContextScope scope(context_);
    try {
        if (stage_ <= Stage::closing && send_.idle()) send_buffered();
    } catch (...) {  // out of memory
        lose(std::current_exception());
    }
}

/// Send until the kernel keeps the operation, or nothing is left. REQUIRES: send_ is idle.
void SocketTransport::send_buffered() {
    for (;;) {
        if (sending_.empty()) sending_.swap(pending_);
        if (sending_.empty()) return flushed();
        if (!part_) [[unlikely]]
            make_part();
        *part_ = iovec_of(sending_.bytes());
        if (loop_.kernel().submit(send_)) return;
        if (!sent(send_.inline_result)) return;
    }
}

void SocketTransport::make_part() {
    part_ = std::make_unique<iovec>();
    send_.buffers = part_.get();
    send_.count = 1;
}

void SocketTransport::on_send(kernel::Operation& operation, const kernel::Completion& completion) {
    auto& self = *static_cast<SocketTransport*>(operation.owner);
    const ContextScope scope(self.context_);
    if (operation.opcode == kernel::Opcode::poll)
        self.writable_again();
    else if (self.stage_ == Stage::losing)
        self.finish_if_idle();
    else if (self.sent(completion.result))
        self.send_buffered();
}

/// Account for a send's result. False if the connection is lost with it.
bool SocketTransport::sent(int result) {
    if (result < 0) [[unlikely]] {
        lose_by(-result, "send");
        return false;
    }
    sending_.consume(static_cast<std::size_t>(result));
    resume_flow();
    return stage_ <= Stage::closing;
}

/// Everything is out.
void SocketTransport::flushed() {
    if (direct_ != nullptr) direct_->changed.wake_all();
    if (eof_wanted_ && !eof_sent_ && direct_ == nullptr) {
        eof_sent_ = true;
        os::shutdown(send_.fd, os::Shutdown::write);
    }
    if (stage_ == Stage::closing) return lose(nullptr);
    if (records_ != nullptr) look_for_room();
}

// --- flow control -------------------------------------------------------------------------------

/// After the system took something.
inline void SocketTransport::resume_flow() {
    if (writing_paused_ && get_write_buffer_size() <= low_) [[unlikely]]
        switch_flow();
}

void SocketTransport::switch_flow() {
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
    const std::size_t size = get_write_buffer_size();
    const bool switches = writing_paused_ ? size <= low_ : size > high_;
    if (switches && stage_ <= Stage::closing) switch_flow();
}

// --- sending by other means ---------------------------------------------------------------------

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
    SocketTransport& transport = *transport_;
    transport.direct_ = nullptr;
    if (!transport.eof_wanted_) transport.refusal_ = nullptr;
    if (transport.is_closing()) return;
    const bool wanted = transport.eof_wanted_ || transport.records_ != nullptr;
    if (wanted && transport.send_.idle()) transport.loop_.before_poll(transport);
    if (was_reading_) transport.resume_reading();
}

bool DirectSend::may_send() const noexcept {
    return transport_->get_write_buffer_size() == 0 && transport_->send_.idle();
}

void DirectSend::ask_for_room() {
    if (!transport_->ask_for_room()) transport_->writable_again();
}

/// False: it failed at once; else writable_again() is called. REQUIRES: send_ is idle.
bool SocketTransport::ask_for_room() {
    send_.opcode = kernel::Opcode::poll;
    send_.events = POLLOUT;
    return loop_.kernel().submit(send_);
}

/// The end of what ask_for_room() began.
void SocketTransport::writable_again() {
    send_.opcode = kernel::Opcode::send;
    if (direct_ != nullptr) direct_->changed.wake_all();
    if (stage_ == Stage::losing) return finish_if_idle();
    // It may have been records_ that asked, and something written meanwhile, which goes first.
    if (direct_ != nullptr && get_write_buffer_size() == 0) return;
    if (records_ != nullptr && records_->is_flushed()) records_->call_now();
    if (stage_ <= Stage::closing && send_.idle()) send_buffered();
}

// --- records of TLS that the system makes -------------------------------------------------------

stream::KernelTls* SocketTransport::kernel_tls() {
    if (direction_ != Direction::both) return nullptr;
    if (records_ == nullptr) records_ = std::make_unique<SocketRecords>(*this);
    return records_.get();
}

void SocketTransport::look_for_room() {
    if (!records_->waits() || !records_->is_flushed() || !send_.idle()) return;
    if (ask_for_room()) return;
    send_.opcode = kernel::Opcode::send;
    lose_by(-send_.inline_result, "wait until it can be sent");
}

bool SocketRecords::is_supported() const noexcept { return os::has_kernel_tls(); }

bool SocketRecords::is_flushed() const noexcept {
    return transport_.stage_ == SocketTransport::Stage::open && transport_.direct_ == nullptr &&
           transport_.get_write_buffer_size() == 0;
}

bool SocketRecords::start(const tls_crypto_info& crypto) noexcept {
    return is_supported() && os::start_kernel_tls(transport_.send_.fd, crypto) == 0;
}

int SocketRecords::send_record(std::uint8_t type, std::span<const std::byte> content) noexcept {
    const std::ptrdiff_t sent = os::send_tls_record(transport_.send_.fd, type, content);
    if (sent < 0) return static_cast<int>(-sent);
    return sent == std::ssize(content) ? 0 : EMSGSIZE;  // never half of one: see KernelTls
}

void SocketRecords::when_room(UniqueFunction<void()> call) {
    if (transport_.stage_ != SocketTransport::Stage::open) return;
    call_ = std::move(call);
    if (transport_.direct_ != nullptr) transport_.direct_->changed.wake_all();
    transport_.look_for_room();
}

void SocketRecords::call_now() {
    if (UniqueFunction<void()> call = std::exchange(call_, UniqueFunction<void()>())) call();
}

}  // namespace asyncio::net
