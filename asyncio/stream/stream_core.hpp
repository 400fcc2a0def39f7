// SPDX-License-Identifier: MIT
//
// StreamCore: the protocol behind StreamReader and StreamWriter.
//
// Reading. Bytes the transport brings go into a buffer, or straight into the memory of a waiting
// read_into(). At most one read waits at a time; it says what it needs (ReadWait::satisfied) and is
// woken when that is there, not for every piece. Flow control: above 2 x limit buffered, and no
// read waiting for more, the transport is paused; it is resumed when the buffer is at or below the
// limit after a read, or when a read has to wait.
//
// Writing. The transport buffers without bound and tells when it is above its high-water mark;
// drain() then waits until it fell to the low one.
//
//      connection_made      eof_received           connection_lost
//   created -----> open -----------------> open, eof -----------------> lost
//
// After `lost`, reads give what is buffered and then end of stream (or the error at once, if the
// connection was lost with one); drains and writes fail with ECONNRESET.
//
// Threads: the loop's.
#pragma once

#include <asyncio/base/owned.hpp>
#include <asyncio/stream/buffer.hpp>
#include <asyncio/stream/transport.hpp>
#include <asyncio/task/wait_list.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>

namespace asyncio::stream {

class SecureLayer;
class StreamCore;

/// A read that waits: from suspend() until wake(), which a cancel may call, too.
class ReadWait : public coro::Wait {
  public:
    /// As `enough`: satisfied() knows.
    static constexpr std::size_t kAsk = SIZE_MAX;

    /// `enough`: so many bytes in the buffer complete the read, whatever they are; at least 1.
    explicit ReadWait(std::size_t enough) noexcept : enough_(enough) {}

    /// Can the read be completed now? May take `fresh`, data not in the buffer yet, into the
    /// reader's own memory; returns how much of it by reference.
    virtual bool satisfied(StreamCore& core, std::span<const std::byte>& fresh) = 0;

    /// Until it is woken. What it waits for is a size of the buffer, or has to be asked for.
    bool waits() const noexcept { return enough_ != 0; }
    bool waits_for_size() const noexcept { return enough_ - 1 < kAsk - 1; }
    bool satisfied_by(std::size_t buffered) const noexcept { return buffered >= enough_; }

    void suspend(coro::Driver& driver) noexcept {
        driver_ = &driver;
        driver.suspend_in(*this);
    }
    void wake() noexcept {
        enough_ = 0;
        driver_->wake();
    }
    bool cancel(const std::string& message) noexcept override;
    const char* what() const noexcept override { return "read"; }

  protected:
    coro::Driver* driver_ = nullptr;  // set when it suspended

  private:
    std::size_t enough_;  // 0 when woken
};

class StreamCore final : public Protocol {
  public:
    static constexpr std::size_t kDefaultLimit = 65536;

    /// std::invalid_argument if limit is 0. Without a transport: data is fed by hand.
    explicit StreamCore(std::size_t limit);

    // --- reading ---------------------------------------------------------------------------

    Buffer& buffer() noexcept { return buffer_; }
    const Buffer& buffer() const noexcept { return buffer_; }
    std::size_t limit() const noexcept { return limit_; }
    bool eof() const noexcept { return (ends_ & kEof) != 0; }
    const std::exception_ptr& error() const noexcept { return error_; }
    void set_error(std::exception_ptr error);
    void feed(std::span<const std::byte> data);
    void feed_eof();
    /// The stream is over, in one way or the other: no read has to wait any more.
    bool over() const noexcept { return ends_ != 0; }
    void throw_if_failed() const {
        if (error_) [[unlikely]]
            std::rethrow_exception(error_);
    }

    /// Throws std::logic_error if another read waits (`name`: of the read that wants to).
    void require_no_reader(const char* name) const {
        if (reader_ != nullptr) [[unlikely]]
            throw_reader_waits(name);
    }
    bool has_reader() const noexcept { return reader_ != nullptr; }
    /// Suspend in `wait` until it is satisfied.
    void wait_for_data(ReadWait& wait, coro::Driver& driver) {
        assert(reader_ == nullptr);
        reader_ = &wait;
        wait.suspend(driver);
        if (read_paused_) [[unlikely]]
            resume_transport();
    }
    void reader_goes_on([[maybe_unused]] ReadWait& wait) noexcept {
        assert(reader_ == &wait);
        reader_ = nullptr;
    }
    void reader_gone(ReadWait& wait) noexcept {
        if (reader_ == &wait) reader_ = nullptr;
    }
    /// After a read took data: let the transport go on if there is room.
    void maybe_resume_transport() {
        if (read_paused_ && buffer_.size() <= limit_) [[unlikely]]
            resume_transport();
    }

    // --- writing ---------------------------------------------------------------------------

    /// Null for a reader that is fed by hand.
    Transport* transport() const noexcept { return transport_.get(); }
    bool paused() const noexcept { return (write_obstacles_ & kPaused) != 0; }
    bool lost() const noexcept { return (write_obstacles_ & kLost) != 0; }
    bool is_closing() const noexcept { return lost() || !transport_ || transport_->is_closing(); }
    /// Nothing stands in the way of writing more.
    bool may_write() const noexcept { return write_obstacles_ == 0 && !transport_->is_closing(); }
    /// It ended with error().
    bool lost_with_error() const noexcept { return (ends_ & kLostWithError) != 0; }
    task::WaitList& drained() noexcept { return drained_; }
    task::WaitList& closed() noexcept { return closed_; }

    // --- start_tls() -----------------------------------------------------------------------

    /// The connection was accepted, not opened.
    bool server_side() const noexcept { return server_side_; }
    void set_server_side() noexcept { server_side_ = true; }
    /// What a client connected to, for the name in the server's certificate; may be null.
    Owned<const std::string> host;
    /// Put `layer`, which has this protocol above, in front of the transport. What was received and
    /// not read was meant for it: an attacker's plain text before the handshake fails there.
    void put_behind(SecureLayer& layer);

    // --- Protocol --------------------------------------------------------------------------

    bool runs_foreign_code() const noexcept override { return false; }
    void connection_made(Transport& transport) override;
    void data_received(std::span<const std::byte> data) override;
    bool eof_received() override;
    void connection_lost(std::exception_ptr error) override;
    void pause_writing() override { set_obstacle(kPaused, true); }
    void resume_writing() override;
    void destroy() noexcept override { delete this; }

    static void* operator new(std::size_t size) { return coro::FramePool::allocate(size); }
    static void operator delete(void* memory, std::size_t size) noexcept {
        coro::FramePool::deallocate(memory, size);
    }

  private:
    // What ends the reading.
    static constexpr std::uint8_t kEof = 1;
    static constexpr std::uint8_t kError = 2;
    static constexpr std::uint8_t kLostWithError = 4;
    // What drain() has to look at.
    static constexpr std::uint8_t kPaused = 1;
    static constexpr std::uint8_t kFailed = 2;
    static constexpr std::uint8_t kLost = 4;
    static constexpr std::uint8_t kNoTransport = 8;

    ~StreamCore() = default;
    [[noreturn]] static void throw_reader_waits(const char* name);
    void set_obstacle(std::uint8_t which, bool stands) noexcept {
        write_obstacles_ = static_cast<std::uint8_t>(stands ? write_obstacles_ | which
                                                            : write_obstacles_ & ~which);
    }
    bool reader_waits() const noexcept { return reader_ != nullptr && reader_->waits(); }
    void ask_reader(std::span<const std::byte>& fresh);
    void ask_reader_again();
    void data_for_anybody(std::span<const std::byte> data);
    void limit_reading(std::size_t buffered) {
        if (buffered > 2 * limit_) [[unlikely]]
            pause_transport();
    }
    void pause_transport();
    void resume_transport();

    // In the padding of the bases; one of these for each idle connection.
    std::uint8_t ends_ = 0;
    std::uint8_t write_obstacles_ = kNoTransport;
    bool read_paused_ = false;
    bool server_side_ = false;
    Buffer buffer_;
    std::size_t limit_;
    ReadWait* reader_ = nullptr;  // waits, or is woken and not resumed yet
    Ref<Transport> transport_;
    std::exception_ptr error_;
    task::WaitList drained_;
    task::WaitList closed_;
};

}  // namespace asyncio::stream
