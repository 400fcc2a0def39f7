// SPDX-License-Identifier: MIT
#include <asyncio/base/log.hpp>
#include <asyncio/base/system_error.hpp>
#include <asyncio/kernel/datagram.hpp>
#include <asyncio/kernel/kernel.hpp>
#include <asyncio/loop/report_error.hpp>
#include <asyncio/net/datagram_transport.hpp>
#include <asyncio/os/datagram.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/os/socket.hpp>
#include <asyncio/stream/bytes.hpp>

#include <cerrno>
#include <deque>
#include <stdexcept>

#include <poll.h>

namespace asyncio {

namespace {

/// Errors that mean that this never was, or is no longer, a socket.
bool is_fatal_here(int errno_value) noexcept {
    return errno_value == EBADF || errno_value == ENOTSOCK || errno_value == EOWNERDEAD;
}

void check(int result, const std::string& what) {
    if (result < 0) os::throw_system_error(-result, what);
}

unsigned index_of(std::string_view interface) {
    if (interface.empty()) return 0;
    const std::string name(interface);
    const unsigned index = os::interface_index(name.c_str());
    if (index == 0) os::throw_system_error(ENODEV, "interface " + name);
    return index;
}

SocketAddress group_address(std::string_view group) {
    const auto address = SocketAddress::parse(group, 0);
    if (!address) throw std::invalid_argument("not an address: " + std::string(group));
    return *address;
}

}  // namespace

DatagramProtocol::~DatagramProtocol() = default;

void DatagramProtocol::destroy() noexcept {
    if (owner_) {
        const Shared<void> last = std::move(owner_);
        return;
    }
    delete this;
}

/// A datagram the system had no room for.
struct DatagramTransport::Kept {
    std::string data;
    SocketAddress to;  // family 0: where the socket is connected to
};
struct DatagramTransport::Backlog : std::deque<Kept> {};

Ref<DatagramTransport> DatagramTransport::open(EventLoop& loop, os::Fd fd,
                                               Ref<DatagramProtocol> protocol,
                                               const SocketAddress& remote, bool connected) {
    Ref<DatagramTransport> transport(
        new DatagramTransport(loop, fd.get(), std::move(protocol), remote, connected));
    (void)fd.release();
    transport->add_ref();  // its own, until lost
    loop.members().push_back(*transport);
    loop.own_descriptor(transport->fd_, true);
    transport->reading_ = true;
    const ContextScope scope(transport->context_);
    try {
        transport->protocol_->connection_made(*transport);
    } catch (...) {
        transport->lose(std::current_exception());
        transport->report("Fatal error: protocol.connection_made() call failed.");
        return transport;
    }
    if (transport->reading_) transport->resume_reading();
    return transport;
}

DatagramTransport::DatagramTransport(EventLoop& loop, int fd, Ref<DatagramProtocol> protocol,
                                     const SocketAddress& remote, bool connected)
    : Runnable(&take_turn),
      loop_(loop),
      protocol_(std::move(protocol)),
      context_(ContextSlot::copy_current()),
      kept_(new Backlog),
      remote_(remote),
      fd_(fd),
      connected_(connected) {
    receive_.owner = writable_.owner = this;
    receive_.fd = writable_.fd = fd;
    writable_.events = POLLOUT;
    os::local_address(fd, local_);
}

DatagramTransport::~DatagramTransport() = default;

// --- receiving ---------------------------------------------------------------------------------

void DatagramTransport::pause_reading() {
    reading_ = false;
    if (!receive_.idle()) loop_.kernel().cancel(receive_);
}

void DatagramTransport::resume_reading() {
    if (stage_ != Stage::open) return;
    reading_ = true;
    receive();
}

void DatagramTransport::receive() {
    if (!receive_.idle()) return;  // being cancelled: its last completion submits it again
    // Nothing would ever begin it again.
    if (!loop_.kernel().submit(receive_))
        lose(make_system_error(-receive_.inline_result, "receive"));
}

void DatagramTransport::on_receive(kernel::Operation& operation,
                                   const kernel::Completion& completion) {
    const Ref<DatagramTransport> keep(static_cast<DatagramTransport*>(operation.owner));
    const ContextScope scope(keep->context_);
    keep->received(completion);
}

void DatagramTransport::received(const kernel::Completion& completion) {
    if (stage_ == Stage::losing) finish_if_idle();
    if (stage_ != Stage::open) return;
    if (completion.more)
        deliver(completion);
    else if (completion.result != -ECANCELED)
        receive_failed(-completion.result);
    if (reading_ && receive_.idle() && stage_ == Stage::open) receive();
}

void DatagramTransport::deliver(const kernel::Completion& completion) {
    const auto& datagram = static_cast<const kernel::Datagram&>(completion);
    if (datagram.truncated) return error(EMSGSIZE, "receive");
    try {
        protocol_->datagram_received(
            datagram.data, SocketAddress::from_raw(datagram.address, datagram.address_size));
    } catch (...) {
        lose(std::current_exception());
        report("Fatal error: protocol.datagram_received() call failed.");
    }
}

void DatagramTransport::receive_failed(int errno_value) {
    if (is_fatal_here(errno_value)) {
        lose(make_system_error(errno_value, "receive"));
        return;
    }
    error(errno_value, "receive");
}

void DatagramTransport::error(int errno_value, const char* what) {
    try {
        protocol_->error_received(make_system_error(errno_value, what));
    } catch (...) {
        lose(std::current_exception());
        report("Fatal error: protocol.error_received() call failed.");
    }
}

// --- sending -----------------------------------------------------------------------------------

/// Where a datagram goes, as the system wants it: null for where it is connected to.
const SocketAddress* DatagramTransport::destination(const SocketAddress* to) const {
    const bool has_remote = remote_.family() != 0;
    if (to != nullptr && has_remote && *to != remote_)
        throw std::invalid_argument("Invalid address: must be none or " + remote_.to_string());
    if (to == nullptr && !has_remote)
        throw std::invalid_argument("sendto: an endpoint without a remote address needs one");
    if (connected_) return nullptr;
    return to != nullptr ? to : &remote_;
}

void DatagramTransport::sendto(std::span<const std::byte> data) {
    const int result = send_or_error(data, nullptr);
    if (result < 0) error(-result, "send");
}

void DatagramTransport::sendto(std::span<const std::byte> data, const SocketAddress& to) {
    const int result = send_or_error(data, &to);
    if (result < 0) error(-result, "send");
}

void DatagramTransport::sendto(std::string_view text) { sendto(stream::bytes_of(text)); }

void DatagramTransport::sendto(std::string_view text, const SocketAddress& to) {
    sendto(stream::bytes_of(text), to);
}

int DatagramTransport::send_or_error(std::span<const std::byte> data, const SocketAddress* to) {
    const SocketAddress* const where = destination(to);
    if (stage_ != Stage::open) return 0;
    if (kept_->empty()) {
        const std::ptrdiff_t result = os::try_send_to(fd_, data, where);
        if (result >= 0) return 0;
        if (result != -EAGAIN) return static_cast<int>(result);
    }
    kept_->push_back({std::string(reinterpret_cast<const char*>(data.data()), data.size()),
                      where != nullptr ? *where : SocketAddress()});
    kept_bytes_ += data.size() + kHeaderBytes;
    wait_for_room();
    update_flow();
    return 0;
}

/// The operation that says so is there, or nothing is kept.
void DatagramTransport::wait_for_room() {
    if (!writable_.idle() || kept_->empty() || loop_.kernel().submit(writable_)) return;
    const int errno_value = -writable_.inline_result;
    kept_->clear();
    kept_bytes_ = 0;
    error(errno_value, "send");
}

void DatagramTransport::on_writable(kernel::Operation& operation, const kernel::Completion&) {
    const Ref<DatagramTransport> keep(static_cast<DatagramTransport*>(operation.owner));
    const ContextScope scope(keep->context_);
    if (keep->stage_ == Stage::losing)
        keep->finish_if_idle();
    else
        keep->send_kept();
}

void DatagramTransport::drop_first() noexcept {
    kept_bytes_ -= kept_->front().data.size() + kHeaderBytes;
    kept_->pop_front();
}

void DatagramTransport::send_kept() {
    while (!kept_->empty() && stage_ <= Stage::closing) {
        const Kept& first = kept_->front();
        const SocketAddress* const where = first.to.family() != 0 ? &first.to : nullptr;
        const std::ptrdiff_t result =
            os::try_send_to(fd_, std::as_bytes(std::span(first.data)), where);
        if (result == -EAGAIN) break;
        drop_first();
        if (result < 0) error(static_cast<int>(-result), "send");
    }
    if (stage_ > Stage::closing) return;
    wait_for_room();
    update_flow();
    if (stage_ == Stage::closing && kept_->empty()) lose(nullptr);
}

void DatagramTransport::update_flow() {
    if (stage_ > Stage::closing) return;
    if (writing_paused_ ? kept_bytes_ > limits_.low : kept_bytes_ <= limits_.high) return;
    writing_paused_ = !writing_paused_;
    try {
        if (writing_paused_)
            protocol_->pause_writing();
        else
            protocol_->resume_writing();
    } catch (...) {
        report(writing_paused_ ? "protocol.pause_writing() failed"
                               : "protocol.resume_writing() failed");
    }
}

void DatagramTransport::set_write_buffer_limits(Option<std::size_t> high, Option<std::size_t> low) {
    limits_ = stream::limits_from(high, low);
    update_flow();
}

// --- multicast ---------------------------------------------------------------------------------

void DatagramTransport::join_group(std::string_view group, std::string_view interface) {
    check(os::join_group(fd_, group_address(group), index_of(interface)),
          "join group " + std::string(group));
}

void DatagramTransport::leave_group(std::string_view group, std::string_view interface) {
    check(os::leave_group(fd_, group_address(group), index_of(interface)),
          "leave group " + std::string(group));
}

void DatagramTransport::set_multicast_ttl(int ttl) {
    check(os::set_multicast_ttl(fd_, local_.family(), ttl), "multicast ttl");
}

void DatagramTransport::set_multicast_loop(bool on) {
    check(os::set_multicast_loop(fd_, local_.family(), on), "multicast loop");
}

void DatagramTransport::set_multicast_interface(std::string_view interface) {
    check(os::set_multicast_interface(fd_, local_.family(), index_of(interface)),
          "multicast interface");
}

// --- the end -----------------------------------------------------------------------------------

void DatagramTransport::close() {
    if (stage_ != Stage::open) return;
    stage_ = Stage::closing;
    pause_reading();
    if (kept_->empty()) lose(nullptr);
}

void DatagramTransport::abort() {
    if (stage_ <= Stage::closing) lose(nullptr);
}

/// Inside a catch: what the protocol threw goes to the loop's exception handler.
void DatagramTransport::report(const char* what) noexcept {
    loop::report_error(loop_, what, std::current_exception(),
                       [&](ExceptionContext& context) { context.transport = local_.to_string(); });
}

void DatagramTransport::lose(std::exception_ptr error) {
    if (stage_ >= Stage::losing) return;
    stage_ = Stage::losing;
    error_ = std::move(error);
    reading_ = false;
    kernel::Kernel& kernel = loop_.kernel();
    kernel.cancel(receive_);
    kernel.cancel(writable_);
    finish_if_idle();
}

void DatagramTransport::finish_if_idle() {
    if (!receive_.idle() || !writable_.idle() || turn_queued_) return;
    turn_queued_ = true;
    loop_.core().ready.push(*this);
}

void DatagramTransport::take_turn(Runnable& runnable, Turn turn) {
    auto& self = static_cast<DatagramTransport&>(runnable);
    if (turn == Turn::run) self.call_connection_lost();
}

void DatagramTransport::close_descriptor() noexcept {
    loop_.own_descriptor(fd_, false);
    loop_.kernel().close(std::exchange(fd_, -1));
}

void DatagramTransport::call_connection_lost() {
    const Ref<DatagramTransport> keep(this);
    const ContextScope scope(context_);
    stage_ = Stage::lost;
    kept_->clear();
    kept_bytes_ = 0;
    loop::Member::unlink();
    (void)drop_ref();  // its own; `keep` is there
    close_descriptor();
    const Ref<DatagramProtocol> protocol = std::move(protocol_);
    try {
        protocol->connection_lost(error_);
    } catch (...) {
        report("protocol.connection_lost() failed");
    }
}

void DatagramTransport::loop_closed() noexcept {
    const Ref<DatagramTransport> keep(this);
    if (stage_ == Stage::open)
        log(LogLevel::warning, "unclosed datagram endpoint: closed with the loop");
    loop_.kernel().reclaim(receive_);
    loop_.kernel().reclaim(writable_);
    close_descriptor();
    stage_ = Stage::lost;
    protocol_ = Ref<DatagramProtocol>();
    (void)drop_ref();
}

}  // namespace asyncio
