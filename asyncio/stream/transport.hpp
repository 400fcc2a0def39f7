// SPDX-License-Identifier: MIT
//
// Transport and Protocol: the two halves of a connection, as in asyncio.
//
// A transport moves bytes (a socket, a pipe, a TLS session); a protocol makes sense of them. The
// transport calls the protocol in this order:
//
//     connection_made -> data_received* -> [eof_received] -> connection_lost
//
// connection_lost comes exactly once, last, and always from the loop, never from within a call of
// the transport. pause_writing and resume_writing are strictly paired and called synchronously.
//
// Both are reference-counted; a transport keeps its protocol until connection_lost returned.
// Threads: the loop's.
#pragma once

#include <asyncio/base/option.hpp>
#include <asyncio/base/ref.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <string_view>

namespace asyncio {
class EventLoop;
class SocketAddress;
class TransportSocket;
namespace ssl {
class SSLObject;
}
}  // namespace asyncio

namespace asyncio::stream {

class KernelTls;
class Protocol;

/// Of a transport's write buffer, bytes: the protocol is paused above `high`, resumed at `low`.
struct WriteBufferLimits {
    std::size_t low = 0;
    std::size_t high = 0;
};

/// Missing ones follow from the other: low = high / 4, high = 4 * low; without both, 64 KiB.
/// std::invalid_argument unless high >= low.
WriteBufferLimits limits_from(Option<std::size_t> high, Option<std::size_t> low);

class Transport : public RefCounted {
  public:
    /// Send, or keep until it can be sent. Never suspends, never limits: see flow control.
    /// std::logic_error after write_eof(); ignored after the connection was lost.
    virtual void write(std::span<const std::byte> data) = 0;
    void write(std::string_view text);
    /// Write all of them, in order. Large ones go out gathered, without a copy.
    virtual void writelines(std::span<const std::span<const std::byte>> lines);
    /// Close the sending direction once everything is out. Idempotent.
    virtual void write_eof() = 0;
    virtual bool can_write_eof() const noexcept { return true; }
    /// Stop reading, send what is buffered, then connection_lost(null). Idempotent.
    virtual void close() = 0;
    /// connection_lost(null) soon; what is buffered is dropped.
    virtual void abort() = 0;
    bool is_closing() const noexcept { return closing_; }

    virtual void pause_reading() = 0;   // idempotent
    virtual void resume_reading() = 0;  // idempotent
    virtual bool is_reading() const noexcept = 0;

    virtual std::size_t get_write_buffer_size() const noexcept = 0;
    virtual WriteBufferLimits get_write_buffer_limits() const noexcept = 0;
    /// See limits_from(). Takes effect at once.
    void set_write_buffer_limits(Option<std::size_t> high = {}, Option<std::size_t> low = {});

    /// What comes from now on goes to `protocol`. Its connection_made is not called, nor the old
    /// one's connection_lost. No effect once connection_lost was called.
    virtual void set_protocol(Ref<Protocol> protocol) = 0;
    /// Null once the connection is lost.
    virtual Protocol* get_protocol() const noexcept = 0;

    virtual EventLoop& loop() const noexcept = 0;
    virtual const SocketAddress& peername() const = 0;
    virtual const SocketAddress& sockname() const = 0;
    virtual int fileno() const noexcept = 0;
    /// What a secure connection tells of itself; null if it is not secure, not yet, or lost.
    virtual const ssl::SSLObject* ssl_object() const noexcept { return nullptr; }

    /// The transport that hands what is written here to the system as it is, and may have it send
    /// files: itself, or one below that does nothing else. Null: what is written is changed first.
    virtual Transport* sending_transport() noexcept { return nullptr; }
    /// Null: nothing below can encrypt. It lives as long as the transport.
    virtual KernelTls* kernel_tls() { return nullptr; }

    virtual void destroy() noexcept = 0;

  protected:
    ~Transport() = default;
    /// is_closing() from now on, for ever. Not a virtual question: each drain() asks it.
    void begin_closing() noexcept;

  private:
    virtual void apply_write_buffer_limits(WriteBufferLimits limits) = 0;

    bool closing_ = false;
};

class Protocol : public RefCounted {
  public:
    /// False: data_received() runs no code but the library's. It needs no context then, and the
    /// protocol is not replaced meanwhile.
    virtual bool runs_foreign_code() const noexcept { return true; }
    virtual void connection_made(Transport& transport) = 0;
    virtual void data_received(std::span<const std::byte> data) = 0;
    /// The peer sends no more. False: the transport closes itself.
    virtual bool eof_received() = 0;
    /// `error`: why, or null after close(), abort() or the peer's end of stream.
    virtual void connection_lost(std::exception_ptr error) = 0;
    virtual void pause_writing() = 0;
    virtual void resume_writing() = 0;
    /// The transport is_closing() from now on; connection_lost comes later. For who waits until he
    /// may write more. Within close(), abort() or whatever ended it: calls neither of them.
    virtual void transport_closing() noexcept {}
    /// Another protocol has taken its place: nothing more comes from the transport.
    virtual void replaced() noexcept {}
    /// It stands in for another one, while a file is sent.
    virtual bool sends_file() const noexcept { return false; }
    /// Somebody else (a server) wants the connection closed in order; a layer says goodbye first.
    virtual void close_connection(Transport& transport) { transport.close(); }

    virtual void destroy() noexcept = 0;

  protected:
    ~Protocol() = default;
};

}  // namespace asyncio::stream
