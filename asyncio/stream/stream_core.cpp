// SPDX-License-Identifier: MIT
#include <asyncio/stream/secure.hpp>
#include <asyncio/stream/stream_core.hpp>

#include <cassert>
#include <stdexcept>
#include <string>

namespace asyncio::stream {

StreamCore::StreamCore(std::size_t limit) : limit_(limit) {
    if (limit == 0) throw std::invalid_argument("Limit cannot be <= 0");
}

// --- reading -----------------------------------------------------------------------------------

void StreamCore::set_error(std::exception_ptr error) {
    error_ = std::move(error);
    std::span<const std::byte> nothing;
    wake_reader_if_satisfied(nothing);
}

void StreamCore::feed(std::span<const std::byte> data) {
    if (eof_) throw std::logic_error("feed_data after feed_eof");
    if (data.empty()) return;
    wake_reader_if_satisfied(data);
    if (data.empty()) return;
    buffer_.append(data);
    std::span<const std::byte> nothing;
    wake_reader_if_satisfied(nothing);
    const bool wants_more = reader_ != nullptr && reader_->linked();
    if (transport_ && !read_paused_ && !wants_more && buffer_.size() > 2 * limit_) {
        read_paused_ = true;
        transport_->pause_reading();
    }
}

void StreamCore::feed_eof() {
    eof_ = true;
    std::span<const std::byte> nothing;
    wake_reader_if_satisfied(nothing);
}

void StreamCore::wake_reader_if_satisfied(std::span<const std::byte>& fresh) {
    if (reader_ != nullptr && reader_->linked() && reader_->satisfied(*this, fresh))
        reader_->wake();
}

void StreamCore::require_no_reader(const char* name) const {
    if (reader_ != nullptr)
        throw std::logic_error(std::string(name) +
                               "() called while another coroutine is already waiting for incoming "
                               "data");
}

void StreamCore::wait_for_data(ReadWait& wait, coro::Driver& driver) {
    assert(reader_ == nullptr);
    reader_ = &wait;
    wait.suspend(driver, reading_);
    if (read_paused_ && transport_) {
        read_paused_ = false;
        transport_->resume_reading();
    }
}

void StreamCore::maybe_resume_transport() {
    if (!read_paused_ || buffer_.size() > limit_ || !transport_) return;
    read_paused_ = false;
    transport_->resume_reading();
}

// --- writing -----------------------------------------------------------------------------------

void StreamCore::resume_writing() {
    write_paused_ = false;
    drained_.wake_all();
}

// --- start_tls() -------------------------------------------------------------------------------

void StreamCore::put_behind(SecureLayer& layer) {
    const Ref<Transport> below = std::exchange(transport_, Ref<Transport>(&layer.transport()));
    const std::string received = buffer_.take(buffer_.size());
    layer.upgrade(*below, std::as_bytes(std::span(received)));
    if (std::exchange(read_paused_, false)) below->resume_reading();
}

// --- Protocol ----------------------------------------------------------------------------------

void StreamCore::connection_made(Transport& transport) { transport_ = Ref<Transport>(&transport); }

bool StreamCore::eof_received() {
    feed_eof();
    return !transport_ ||
           transport_->can_write_eof();  // the write side stays open, where there are two sides
}

void StreamCore::connection_lost(std::exception_ptr error) {
    const Ref<StreamCore> keep(this);
    lost_ = true;
    lost_error_ = error;
    if (error)
        set_error(error);
    else
        feed_eof();
    drained_.wake_all();
    closed_.wake_all();
}

}  // namespace asyncio::stream
