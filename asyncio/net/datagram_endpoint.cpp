// SPDX-License-Identifier: MIT
#include <asyncio/net/datagram_endpoint.hpp>
#include <asyncio/net/datagram_socket.hpp>
#include <asyncio/os/error.hpp>
#include <asyncio/stream/bytes.hpp>

#include <cerrno>
#include <deque>

namespace asyncio {

namespace net {

namespace {

[[noreturn]] void throw_closed() {
    os::throw_system_error(EBADF, "the datagram endpoint is closed");
}

}  // namespace

struct DatagramCore::Queue : std::deque<Item> {};

DatagramCore::DatagramCore(std::size_t limit) : queue_(new Queue), limit_(limit) {}

DatagramCore::~DatagramCore() = default;

void DatagramCore::connection_made(DatagramTransport& transport) {
    transport_ = Ref<DatagramTransport>(&transport);
}

void DatagramCore::datagram_received(std::span<const std::byte> data, const SocketAddress& from) {
    Item item(std::string(reinterpret_cast<const char*>(data.data()), data.size()), from);
    if (!readers_.empty()) {
        static_cast<Wait&>(readers_.front()).fill(std::move(item));
        return;
    }
    queued_ += cost(item);
    queue_->push_back(std::move(item));
    if (queued_ <= limit_ || receiving_paused_) return;
    receiving_paused_ = true;
    transport_->pause_reading();
}

std::size_t DatagramCore::cost(const Item& item) noexcept {
    return item.first.size() + sizeof(Item);
}

void DatagramCore::Wait::fill(Item item) noexcept {
    data_ = std::move(item.first);
    from_ = item.second;
    filled_ = true;
    wake();
}

DatagramCore::Item DatagramCore::take() {
    if (queue_->empty()) {
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        throw_closed();
    }
    Item item = std::move(queue_->front());
    queue_->pop_front();
    queued_ -= cost(item);
    if (receiving_paused_ && queued_ <= limit_ / 2) {
        receiving_paused_ = false;
        transport_->resume_reading();
    }
    return item;
}

/// A datagram whose reader was cancelled goes to the next one.
void DatagramCore::put_back(Item item) {
    if (!readers_.empty()) {
        static_cast<Wait&>(readers_.front()).fill(std::move(item));
        return;
    }
    queued_ += cost(item);
    queue_->push_front(std::move(item));
}

void DatagramCore::error_received(std::exception_ptr error) {
    if (readers_.empty()) {
        error_ = std::move(error);
        return;
    }
    auto& reader = static_cast<Wait&>(readers_.front());
    reader.failure_ = std::move(error);
    reader.filled_ = true;
    reader.wake();
}

void DatagramCore::connection_lost(std::exception_ptr error) {
    lost_ = true;
    if (error) error_ = std::move(error);
    while (!readers_.empty()) readers_.front().wake();
    drained_.wake_all();
    closed_.wake_all();
}

void DatagramCore::resume_writing() {
    paused_ = false;
    drained_.wake_all();
}

DatagramCore::Item ReceiveFromAwaiter::await_resume() {
    if (driver_ != nullptr) {
        if (filled_ && driver_->cancel_due()) give_back();
        resume();
        if (failure_) std::rethrow_exception(failure_);
        if (filled_) return {std::move(data_), from_};
    }
    return core_->take();
}

void ReceiveFromAwaiter::give_back() {
    if (failure_)
        core_->error_received(std::move(failure_));
    else
        core_->put_back({std::move(data_), from_});
}

bool SendToAwaiter::await_ready() {
    if (core_->lost() || core_->transport().is_closing()) throw_closed();
    result_ = core_->transport().send_or_error(data_, to_.family() != 0 ? &to_ : nullptr);
    return result_ < 0 || !core_->paused();
}

void SendToAwaiter::await_resume() {
    resume();
    if (result_ >= 0) return;
    const SocketAddress& to = to_.family() != 0 ? to_ : core_->transport().peername();
    os::throw_system_error(-result_, "sendto " + to.to_string());
}

namespace {

Coro<DatagramEndpoint> open_endpoint(DatagramRequest request, std::size_t limit) {
    DatagramSocket socket = co_await open_datagram_socket(std::move(request));
    const Ref<DatagramCore> core(new DatagramCore(limit));
    DatagramTransport::open(get_running_loop(), std::move(socket.fd), core, socket.remote,
                            socket.connected);
    co_return DatagramEndpoint(core);
}

Coro<Ref<DatagramTransport>> open_transport(DatagramRequest request,
                                            Owned<stream::FactoryOf<DatagramProtocol>> factory) {
    DatagramSocket socket = co_await open_datagram_socket(std::move(request));
    co_return DatagramTransport::open(get_running_loop(), std::move(socket.fd), factory->make(),
                                      socket.remote, socket.connected);
}

}  // namespace

ASYNCIO_CORO_WRAPPER
Coro<Ref<DatagramTransport>> connect_datagram(Owned<stream::FactoryOf<DatagramProtocol>> factory,
                                              DatagramOptions options) {
    return open_transport(request_of(options), std::move(factory));
}

}  // namespace net

DatagramEndpoint& DatagramEndpoint::operator=(DatagramEndpoint&& other) noexcept {
    if (this == &other) return *this;
    DatagramEndpoint old(std::move(*this));
    core_ = std::move(other.core_);
    return *this;
}

DatagramEndpoint::~DatagramEndpoint() {
    if (core_ && !is_closing()) close();
}

ASYNCIO_CORO_WRAPPER Coro<DatagramEndpoint> open_datagram(DatagramOptions options) {
    return net::open_endpoint(net::request_of(options), options.receive_limit);
}

net::SendTo DatagramEndpoint::sendto(std::string_view text, const SocketAddress& to) const {
    return sendto(stream::bytes_of(text), to);
}

net::SendTo DatagramEndpoint::sendto(std::string_view text) const {
    return sendto(stream::bytes_of(text));
}

}  // namespace asyncio
