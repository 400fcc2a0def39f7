// SPDX-License-Identifier: MIT
#include <asyncio/stream/secure.hpp>
#include <asyncio/stream/stream_core.hpp>

#include <stdexcept>
#include <string>

namespace asyncio::stream {

StreamCore::StreamCore(std::size_t limit) : limit_(limit) {
    if (limit == 0) throw std::invalid_argument("Limit cannot be <= 0");
}

// --- reading -----------------------------------------------------------------------------------

bool ReadWait::cancel(const std::string& message) noexcept {
    if (!waits()) return false;
    driver_->deliver_cancel(message);
    wake();
    return true;
}

void StreamCore::set_error(std::exception_ptr error) {
    error_ = std::move(error);
    ends_ = static_cast<std::uint8_t>(error_ ? ends_ | kError : ends_ & kEof);
    set_obstacle(kFailed, static_cast<bool>(error_));
    ask_reader_again();
}

void StreamCore::feed_eof() {
    ends_ |= kEof;
    ask_reader_again();
}

void StreamCore::feed(std::span<const std::byte> data) {
    if (eof()) throw std::logic_error("feed_data after feed_eof");
    data_received(data);
}

void StreamCore::data_received(std::span<const std::byte> data) {
    ReadWait* const reader = reader_;
    if (reader == nullptr || !reader->waits_for_size()) return data_for_anybody(data);
    const std::size_t buffered = buffer_.append(data);
    if (reader->satisfied_by(buffered)) [[likely]]
        reader->wake();
    limit_reading(buffered);
}

/// Nobody waits, or a read that has to be asked.
void StreamCore::data_for_anybody(std::span<const std::byte> data) {
    ask_reader(data);
    if (data.empty()) return;
    buffer_.append(data);
    ask_reader_again();
    limit_reading(buffer_.size());
}

/// The reader takes what it can use of data that is not in the buffer yet.
void StreamCore::ask_reader(std::span<const std::byte>& fresh) {
    if (reader_waits() && reader_->satisfied(*this, fresh)) reader_->wake();
}

void StreamCore::ask_reader_again() {
    std::span<const std::byte> nothing;
    ask_reader(nothing);
}

/// Called when too much is buffered; all right while a read waits for more of it.
void StreamCore::pause_transport() {
    if (!transport_ || read_paused_ || reader_waits()) return;
    read_paused_ = true;
    transport_->pause_reading();
}

void StreamCore::resume_transport() {
    read_paused_ = false;
    transport_->resume_reading();
}

void StreamCore::throw_reader_waits(const char* name) {
    throw std::logic_error(std::string(name) +
                           "() called while another coroutine is already waiting for incoming "
                           "data");
}

// --- writing -----------------------------------------------------------------------------------

void StreamCore::resume_writing() {
    set_obstacle(kPaused, false);
    drained_.wake_all();
}

// --- start_tls() -------------------------------------------------------------------------------

void StreamCore::put_behind(SecureLayer& layer) {
    const std::string received = buffer_.take(buffer_.size());  // may throw: before it is changed
    const Ref<Transport> below = std::exchange(transport_, Ref<Transport>(&layer.transport()));
    layer.upgrade(*below, std::as_bytes(std::span(received)));
    if (std::exchange(read_paused_, false)) below->resume_reading();
}

// --- Protocol ----------------------------------------------------------------------------------

void StreamCore::connection_made(Transport& transport) {
    transport_ = Ref<Transport>(&transport);
    set_obstacle(kNoTransport, false);
}

bool StreamCore::eof_received() {
    feed_eof();
    return !transport_ ||
           transport_->can_write_eof();  // the write side stays open, where there are two sides
}

void StreamCore::connection_lost(std::exception_ptr error) {
    const Ref<StreamCore> keep(this);
    set_obstacle(kLost, true);
    if (error) {
        set_error(std::move(error));
        ends_ |= kLostWithError;
    } else {
        feed_eof();
    }
    drained_.wake_all();
    closed_.wake_all();
}

}  // namespace asyncio::stream
