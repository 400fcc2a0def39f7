// SPDX-License-Identifier: MIT
//
// StreamWriter: the outgoing half of a connection.
//
//     writer.write("hello\n");
//     co_await writer.drain();
//     writer.close();
//     co_await writer.wait_closed();
//
// write() never suspends and buffers without bound; drain() is what keeps a fast writer and a slow
// peer together: it waits only while more than the high-water mark (64 KiB) is buffered. Several
// small writes of one iteration go out together.
//
// A writer that is destroyed without close() closes its connection (what is buffered is still
// sent) and says so in the log. Threads: the loop's.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/stream/secure.hpp>
#include <asyncio/stream/ssl_object.hpp>
#include <asyncio/stream/stream_core.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace asyncio {

class SocketAddress;
class TransportSocket;

namespace stream {

class DrainWait final : public task::ListWait {
  public:
    const char* what() const noexcept override { return "drain"; }
};

/// Mostly there is nothing to wait for; then it makes no wait.
class DrainAwaiter {
  public:
    explicit DrainAwaiter(Ref<StreamCore> core) noexcept : core_(std::move(core)) {}
    DrainAwaiter(const DrainAwaiter&) = delete;
    DrainAwaiter& operator=(const DrainAwaiter&) = delete;
    ~DrainAwaiter() {
        if (stage_ >= Stage::waited) [[unlikely]]
            wait_.~DrainWait();
    }
    bool await_ready() noexcept {
        if (core_->may_write()) [[likely]]
            return true;
        stage_ = Stage::hindered;
        return static_cast<bool>(core_->error());
    }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) noexcept {
        suspend_in(coro::driver_of(frame));
    }
    void await_resume() {
        if (stage_ != Stage::ready) [[unlikely]]
            finish();
    }

  private:
    enum class Stage : std::uint8_t { ready, hindered, waited, waited_for_drain };

    void suspend_in(coro::Driver& driver) noexcept;
    void finish();

    Ref<StreamCore> core_;
    union {
        DrainWait wait_;  // from `waited` on
    };
    Stage stage_ = Stage::ready;
};

class ClosedAwaiter final : public task::ListWait {
  public:
    explicit ClosedAwaiter(Ref<StreamCore> core) noexcept : core_(std::move(core)) {}
    bool await_ready() const noexcept { return core_->lost(); }
    template <class P>
    void await_suspend(std::coroutine_handle<P> frame) noexcept {
        suspend(coro::driver_of(frame), core_->closed().waits());
    }
    void await_resume() {
        resume();
        if (core_->lost_with_error()) std::rethrow_exception(core_->error());
    }
    const char* what() const noexcept override { return "wait_closed"; }

  private:
    Ref<StreamCore> core_;
};

/// An awaitable that can be stored and made into a task; A is the awaiter.
template <class A>
class [[nodiscard]] OnStream : public coro::DriverAwaitable {
  public:
    explicit OnStream(Ref<StreamCore> core) noexcept : core_(std::move(core)) {}
    A operator co_await() const& noexcept { return A(core_); }
    A operator co_await() && noexcept { return A(std::move(core_)); }

  private:
    Ref<StreamCore> core_;
};

}  // namespace stream

class StreamWriter {
  public:
    explicit StreamWriter(Ref<stream::StreamCore> core) noexcept : core_(std::move(core)) {}
    StreamWriter(StreamWriter&&) noexcept = default;
    StreamWriter& operator=(StreamWriter&& other) noexcept;
    ~StreamWriter();

    /// False after it was moved from; then nothing else may be called.
    bool valid() const noexcept { return static_cast<bool>(core_); }

    /// std::logic_error after write_eof(). After close() or the loss of the connection the data is
    /// dropped, and drain() tells.
    void write(std::span<const std::byte> data) const {
        if (stream::Transport* transport = core_->transport()) transport->write(data);
    }
    void write(std::string_view data) const;
    /// All of a range of strings or byte spans, in order; large ones go out gathered.
    template <class Range>
    void writelines(const Range& lines) const {
        std::span<const std::byte> parts[kGathered];
        std::size_t count = 0;
        for (const auto& line : lines) {
            parts[count++] = bytes_of(line);
            if (count < kGathered) continue;
            write_gathered(parts, count);
            count = 0;
        }
        write_gathered(parts, count);
    }

    /// Wait until it makes sense to write more. Throws the connection's error, or
    /// std::system_error (ECONNRESET) "Connection lost".
    auto drain() const { return stream::OnStream<stream::DrainAwaiter>(core_); }

    /// Half-close: the peer sees the end of the stream after what was written. Idempotent.
    void write_eof() const;
    bool can_write_eof() const noexcept;

    /// Send what is buffered, then close. Idempotent.
    void close() const;
    /// Close now; what is buffered is dropped.
    void abort() const;
    bool is_closing() const noexcept { return core_->is_closing(); }
    /// Wait until the connection is closed; throws its error if it ended with one.
    auto wait_closed() const { return stream::OnStream<stream::ClosedAwaiter>(core_); }

    /// Make a TLS connection of this one: drains, shakes hands, then all that is read and written
    /// is encrypted. Data received and not read before is taken as the beginning of the peer's TLS.
    /// Awaited, it throws what it failed with; then, and when cancelled, the connection is closed.
    /// std::logic_error without a connection, std::invalid_argument for options without meaning.
    ASYNCIO_CORO_WRAPPER Coro<> start_tls(const stream::SecureContext& context,
                                          StartTlsOptions options = {}) const;

    /// Bytes written and not taken by the system yet.
    std::size_t write_buffer_size() const noexcept;
    /// Pause above `high` (drain() waits), go on at `low`; see Transport::set_write_buffer_limits.
    void set_write_buffer_limits(Option<std::size_t> high = {}, Option<std::size_t> low = {}) const;

    /// The addresses of the connection. Asked for the first time after it was lost: none.
    const SocketAddress& peername() const;
    const SocketAddress& sockname() const;
    /// The TLS version, cipher, peer's certificate; null unless the connection is a TLS one.
    /// Valid while the connection is.
    const ssl::SSLObject* ssl() const noexcept;
    /// Options, credentials of the peer and the like. REQUIRES: a connection of the net room.
    TransportSocket socket() const;
    /// The transport, for what is not here; null without a connection.
    stream::Transport* transport() const noexcept { return core_->transport(); }

  private:
    static constexpr std::size_t kGathered = 64;

    static std::span<const std::byte> bytes_of(std::string_view text) noexcept;
    static std::span<const std::byte> bytes_of(std::span<const std::byte> data) noexcept {
        return data;
    }
    void write_gathered(const std::span<const std::byte>* lines, std::size_t count) const;

    Ref<stream::StreamCore> core_;
};

}  // namespace asyncio
